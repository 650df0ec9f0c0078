"""Addresses as people write them and as the wire and the kernel hold them."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_V4_MAPPED: Final = bytes(10) + b"\xff\xff"


def split_host_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Return (host, port) of "host:port" or "[v6]:port"; the host comes without brackets.

    Raises ValueError naming `text` when a part is missing, or the port is not 1 to 65535.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":") or ":" not in host:
            raise ValueError(f"{text!r} is not [address]:port")
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise ValueError(f"{text!r}: an IPv6 address stands in brackets")
    if not host:
        raise ValueError(f"{text!r} has no host")
    if not colon and default_port is not None:
        return host, default_port
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return host, int(port)


def join_host_port(host: str, port: int) -> str:
    """Return "host:port", with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def mapped_bytes(address: str) -> bytes:
    """Return an IPv4 or IPv6 address as 16 bytes, network order; IPv4 as ::ffff:a.b.c.d. Raises ValueError."""
    packed = ip_address(address).packed
    return packed if len(packed) == 16 else _V4_MAPPED + packed


def address_of_mapped(packed: bytes) -> str:
    """Return the text of 16 bytes in network order; a mapped IPv4 address as IPv4. Raises ValueError."""
    if len(packed) != 16:
        raise ValueError(f"an address takes 16 bytes, not {len(packed)}")
    return str(ip_address(packed[12:])) if packed[:12] == _V4_MAPPED else str(IPv6Address(packed))


def plain_address(address: str) -> str:
    """Return `address` with a mapped IPv4 address (what an IPv6 socket says of an IPv4 peer) as IPv4, and without a
    zone. Raises ValueError."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


class Networks:
    """A set of networks, made of their texts; a text may have host bits set unless `strict`. Raises ValueError for one
    that is no network. A look-up costs a step per distinct prefix length, however many networks there are."""

    __slots__ = ("_contains", "_prefixes")

    def __init__(self, networks: Iterable[str], strict: bool = True) -> None:
        prefixes: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ip_network(text, strict)
            shift = network.max_prefixlen - network.prefixlen
            prefixes.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
        self._prefixes = tuple((version, shift, frozenset(heads)) for (version, shift), heads in prefixes.items())
        # Peers repeat: a hit costs a thousandth of parsing. At most 1024 addresses stay.
        self._contains = lru_cache(maxsize=1024)(self._look_up)

    def __bool__(self) -> bool:
        return bool(self._prefixes)

    def __contains__(self, address: str) -> bool:
        """Whether an address (as `plain_address` gives it) is in one of them. What is no address is in none."""
        return self._contains(address)

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        number, of = int(parsed), parsed.version
        return any(version == of and number >> shift in heads for version, shift, heads in self._prefixes)
