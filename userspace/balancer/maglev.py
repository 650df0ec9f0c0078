"""Maglev rings (Eisenbud et al., NSDI 2016, section 3.4): which target a flow's hash belongs to.

A ring is a pure function of its targets, so every L4 node that holds the same revision holds the same ring. Removing
one of n targets moves about 1/n of the slots and few others.
"""

from collections.abc import Mapping
from hashlib import blake2b


def build_ring(weights: Mapping[str, int], size: int) -> list[str]:
    """Return `size` target names, each with slots in proportion to its weight; [] when no target has a weight.

    size: a prime, well above the number of targets (100 times gives shares within 1 %). Weights are relative. A target
    takes a slot in a round once its accumulated weight reaches the largest: Katran's MaglevHashV2, free of the bias of
    taking `weight` slots at once.
    """
    names = sorted(name for name, weight in weights.items() if weight > 0)
    if not names:
        return []
    offsets, skips = zip(*(_permutation(name, size) for name in names), strict=True)
    largest = max(weights[name] for name in names)
    credit, position = [0] * len(names), [0] * len(names)
    slots: list[int] = [-1] * size
    filled = 0
    while True:
        for index, name in enumerate(names):
            credit[index] += weights[name]
            if credit[index] < largest:
                continue
            credit[index] -= largest
            slot = (offsets[index] + position[index] * skips[index]) % size
            while slots[slot] >= 0:
                position[index] += 1
                slot = (offsets[index] + position[index] * skips[index]) % size
            position[index] += 1
            slots[slot] = index
            filled += 1
            if filled == size:
                return [names[i] for i in slots]


def _permutation(name: str, size: int) -> tuple[int, int]:
    """Return (offset, skip) of a target's preference list: skip is never 0, and size is prime, so it visits all."""
    digest = blake2b(name.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") % size, int.from_bytes(digest[8:], "big") % (size - 1) + 1
