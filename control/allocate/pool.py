"""The pools that addresses come from: unique IPs, local addresses of nodes, addresses of VIPs, EIPs."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

DEFAULT_POOL = "100.64.0.0/10"
# Unique local addresses (RFC 4193) whose global id reads "unilb".
DEFAULT_POOL6 = "fd75:6e69:6c62::/64"
# Seconds that a freed address stays unused: longer than any gateway may go on with an old configuration.
DEFAULT_REST = 600
# Local addresses of FNAT: nobody else's in a data centre (RFC 2544).
DEFAULT_LADDRS = "198.18.0.0/15"


class PoolExhausted(Exception):
    """No address is left; those that rest come back by themselves."""


@dataclass(frozen=True, slots=True)
class Pool:
    """`network` without its first and last addresses. `rest`: seconds between two owners of an address."""

    network: IPv4Network | IPv6Network = IPv4Network(DEFAULT_POOL)
    rest: int = DEFAULT_REST

    def holds(self, address: str) -> bool:
        """True for an address that may be given."""
        try:
            return ip_address(address) in self.network
        except ValueError:
            return False

    def free(self, taken: Container[str]) -> Iterator[str]:
        """Addresses that are not in `taken`, lowest first."""
        first, last = int(self.network.network_address), int(self.network.broadcast_address)
        for number in range(first + 1, last):
            address = str(self.network[number - first])
            if address not in taken:
                yield address


@dataclass(frozen=True, slots=True)
class Pools:
    """`unique_ips6`: of endpoints in VPCs of IPv6. `vips` and `eips` None: there is none, each VIP and EIP names its
    address."""

    unique_ips: Pool = Pool()
    laddrs: Pool = Pool(IPv4Network(DEFAULT_LADDRS))
    vips: Pool | None = None
    eips: Pool | None = None
    unique_ips6: Pool = Pool(IPv6Network(DEFAULT_POOL6))


def parse_pool(text: str, rest: int = DEFAULT_REST, version: int = 4) -> Pool:
    """Read `100.64.0.0/10`, or with `version` 6 `fd00::/64`. Raises ValueError."""
    network = ip_network(text)
    if network.version != version:
        raise ValueError(f"{text}: expected a pool of IPv{version}")
    if not 1 <= network.prefixlen <= network.max_prefixlen - 2:
        raise ValueError(f"{text}: a pool has a prefix length of 1 to {network.max_prefixlen - 2}")
    if rest < 0:
        raise ValueError(f"rest: expected at least 0 seconds, got {rest}")
    return Pool(network, rest)
