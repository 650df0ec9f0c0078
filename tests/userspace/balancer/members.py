"""Endpoints and members for the balancer's tests: the last digit of a host says which one it is."""

from collections import Counter

from control.model.upstream import Endpoint
from userspace.balancer.picker import Member, Picker


def endpoints(*weights: int, priority: int = 0, first: int = 1, zone: str | None = None) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"10.0.0.{first + at}", 80, weight, priority, zone=zone) for at, weight in enumerate(weights))


def members(*weights: int, shares: tuple[float, ...] = ()) -> list[Member]:
    return [
        Member(endpoint, endpoint.weight, share)
        for endpoint, share in zip(endpoints(*weights), shares or (1.0,) * len(weights), strict=True)
    ]


def picks(picker: Picker, count: int) -> str:
    """The last digits of the hosts picked."""
    return "".join(picker.pick().host[-1] for _ in range(count))  # type: ignore[union-attr]


def counts(picker: Picker, count: int) -> Counter[str]:
    """How often each host was picked, by its last digit."""
    return Counter(picks(picker, count))
