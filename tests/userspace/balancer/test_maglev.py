"""Rings are even, stable, and the same everywhere."""

from collections import Counter
from itertools import pairwise

import pytest

from userspace.balancer.maglev import build_ring

SIZE = 16381


def names(count: int) -> dict[str, int]:
    return {f"10.1.0.{i}:80": 1 for i in range(count)}


def test_no_targets_no_ring() -> None:
    assert build_ring({}, SIZE) == []
    assert build_ring({"a": 0}, SIZE) == []


@pytest.mark.parametrize("count", [1, 2, 3, 10, 100])
def test_shares_are_even(count: int) -> None:
    shares = Counter(build_ring(names(count), SIZE))
    assert len(shares) == count
    assert max(shares.values()) <= 1.05 * SIZE / count


def test_shares_follow_weights() -> None:
    shares = Counter(build_ring({"a": 3, "b": 1, "c": 0}, SIZE))
    assert "c" not in shares
    assert shares["a"] / shares["b"] == pytest.approx(3, rel=0.01)


def test_equal_weights_are_equal_whatever_their_size() -> None:
    assert build_ring({"a": 7, "b": 7}, SIZE) == build_ring({"a": 1, "b": 1}, SIZE)


def test_the_order_of_targets_does_not_matter() -> None:
    targets = names(7)
    assert build_ring(targets, SIZE) == build_ring(dict(reversed(targets.items())), SIZE)


@pytest.mark.parametrize("count", [3, 10, 30])
def test_removing_a_target_moves_little_else(count: int) -> None:
    before = build_ring(names(count), SIZE)
    after = build_ring(names(count - 1), SIZE)
    gone = f"10.1.0.{count - 1}:80"
    moved = sum(a != b for a, b in zip(before, after, strict=True) if a != gone)
    assert moved <= 0.05 * SIZE


def test_neighbouring_slots_differ_as_chance_has_it() -> None:
    ring = build_ring(names(2), SIZE)
    assert 0.4 < sum(a != b for a, b in pairwise(ring)) / SIZE < 0.6


def test_golden_ring() -> None:
    """Another L4 node, another release: the same ring. Changing this moves every flow of every site."""
    assert build_ring({"10.1.0.11:80": 1, "10.2.0.12:80": 2}, 13) == [NAMES[c] for c in "BABBAABBBBABB"]


NAMES = {"A": "10.1.0.11:80", "B": "10.2.0.12:80"}
