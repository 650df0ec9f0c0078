"""Clients: how many connections each client address has, and whether it may have one more."""

from ipaddress import IPv6Address


class Clients:
    """`limit`: connections of one address in this worker; 0 for any number, which costs nothing.

    Of an IPv6 address the network of 64 bits counts: whoever has one address has them all. At most as many entries as
    connections exist.
    """

    __slots__ = ("_counts", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more connection; False, and nothing counted, when it would be one too many."""
        if not self._limit:
            return True
        key = _key(address)
        count = self._counts.get(key, 0)
        if count >= self._limit:
            return False
        self._counts[key] = count + 1
        return True

    def leave(self, address: str) -> None:
        """A connection that entered has ended."""
        if not self._limit:
            return
        key = _key(address)
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]


def _key(address: str) -> str:
    if ":" not in address:
        return address
    parsed = IPv6Address(address)
    return str(parsed.ipv4_mapped or int(parsed) >> 64)
