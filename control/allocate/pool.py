"""The pools that addresses come from: unique IPs, local addresses of nodes, addresses of VIPs, EIPs."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network

DEFAULT_POOL = "100.64.0.0/10"
# Seconds that a freed address stays unused: longer than any gateway may go on with an old configuration.
DEFAULT_REST = 600
# Local addresses of FNAT: nobody else's in a data centre (RFC 2544).
DEFAULT_LADDRS = "198.18.0.0/15"


class PoolExhausted(Exception):
    """No address is left; those that rest come back by themselves."""


@dataclass(frozen=True, slots=True)
class Pool:
    """`network` without its network and broadcast addresses. `rest`: seconds between two owners of an address."""

    network: IPv4Network = IPv4Network(DEFAULT_POOL)
    rest: int = DEFAULT_REST

    def holds(self, address: str) -> bool:
        """True for an address that may be given."""
        try:
            return IPv4Address(address) in self.network
        except AddressValueError:
            return False

    def free(self, taken: Container[str]) -> Iterator[str]:
        """Addresses that are not in `taken`, lowest first."""
        first, last = int(self.network.network_address), int(self.network.broadcast_address)
        for number in range(first + 1, last):
            address = str(IPv4Address(number))
            if address not in taken:
                yield address


@dataclass(frozen=True, slots=True)
class Pools:
    """`vips` and `eips` None: there is none, and each VIP and EIP names its address."""

    unique_ips: Pool = Pool()
    laddrs: Pool = Pool(IPv4Network(DEFAULT_LADDRS))
    vips: Pool | None = None
    eips: Pool | None = None


def parse_pool(text: str, rest: int = DEFAULT_REST) -> Pool:
    """Read `100.64.0.0/10`. Raises ValueError."""
    network = IPv4Network(text)
    if not 1 <= network.prefixlen <= 30:
        raise ValueError(f"{text}: a pool has a prefix length of 1 to 30")
    if rest < 0:
        raise ValueError(f"rest: expected at least 0 seconds, got {rest}")
    return Pool(network, rest)
