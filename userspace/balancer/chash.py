"""Consistent hashing on the ring of APISIX (lua-resty-chash): the same key, the same endpoint, on every gateway."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence, Set
from itertools import chain
from math import gcd
from typing import Final
from zlib import crc32

from control.model.upstream import Endpoint
from userspace.balancer.picker import NONE, Member, Picker

POINTS: Final = 160  # of an endpoint with the least weight
MAX_POINTS: Final = 65536
"""Of one ring, 8 bytes each. Weights that ask for more are scaled down, and keys then fall as they do not in APISIX."""

INDEX_BITS: Final = 20  # more endpoints than an upstream's 1.5 MiB can name

_INDEX: Final = (1 << INDEX_BITS) - 1
_LAST: Final = struct.Struct("<I")


class ConsistentHash(Picker):
    """A key belongs to the first point at or after its CRC-32. An endpoint that is not to be used is skipped clockwise,
    so that only its own keys move; the ring itself is made of all endpoints, whatever their health.

    `down`: members that are not picked. While a member warms up it has fewer points, the first of those it will have.
    """

    __slots__ = ("_down", "_endpoints", "_hashes", "_owners", "_size", "members")

    wants_key = True

    def __init__(
        self, members: Sequence[Member], down: Set[Endpoint] = NONE, like: "ConsistentHash | None" = None
    ) -> None:
        """`like`: with the same members, whose ring is taken over."""
        self.members = members
        self._endpoints = [member.endpoint for member in members]
        self._down = frozenset(down)
        self._size = sum(endpoint not in self._down for endpoint in self._endpoints)
        self._hashes: array[int]
        self._owners: array[int]
        self._hashes, self._owners = _ring(members) if like is None else (like._hashes, like._owners)

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        """A retry goes on clockwise from where the first try was."""
        owners, endpoints, down = self._owners, self._endpoints, self._down
        at = bisect_left(self._hashes, crc32(key.encode("utf-8", "surrogateescape")))
        if at == len(owners):
            at = 0
        endpoint = endpoints[owners[at]]
        if endpoint not in down and endpoint not in tried:
            return endpoint
        if len(tried) >= self._size and self._is_spent(tried):
            return None
        for point in chain(range(at + 1, len(owners)), range(at)):
            endpoint = endpoints[owners[point]]
            if endpoint not in down and endpoint not in tried:
                return endpoint
        return None

    def _is_spent(self, tried: Set[Endpoint]) -> bool:
        return all(endpoint in self._down or endpoint in tried for endpoint in self._endpoints)


def _ring(members: Sequence[Member]) -> "tuple[array[int], array[int]]":
    """Return (hashes, ascending; the index of each point's member)."""
    divisor = gcd(*(member.weight for member in members))
    counts = [POINTS * (member.weight // divisor) for member in members]
    total = sum(counts)
    if total > MAX_POINTS:
        counts = [max(1, count * MAX_POINTS // total) for count in counts]
    points: list[int] = []
    for index, member in enumerate(members):
        host = f"[{member.endpoint.host}]" if ":" in member.endpoint.host else member.endpoint.host
        seed = crc32(f"{host}:{member.endpoint.port}".replace(":", "\0").encode())
        last = 0
        for _ in range(max(1, round(counts[index] * member.share))):
            last = crc32(_LAST.pack(last), seed)
            points.append(last << INDEX_BITS | index)
    points.sort()
    return array("I", [point >> INDEX_BITS for point in points]), array("I", [point & _INDEX for point in points])
