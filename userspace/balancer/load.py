"""What a worker knows of endpoints from its own tries: how many are under way, and how long they took."""

from collections.abc import Iterable
from math import exp
from typing import Final, Protocol

from control.model.upstream import Endpoint

DECAY: Final = 10.0  # seconds in which the weight of what was measured falls to 1/e
EXPIRY: Final = 60.0  # seconds after which nothing is known any more


class Seat(Protocol):
    """Who sorts endpoints by their loads, and so must hear of changes."""

    def lighter(self) -> None:
        """A try has ended."""


class Load:
    """Of one address and port. `seat`: where the picker in force keeps it."""

    __slots__ = ("_latency", "_measured", "seat", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        self.seat: Seat | None = None
        self._latency = 0.0
        self._measured = float("-inf")

    def latency(self, now: float) -> float:
        """Return the moving average in seconds as it counts at `now`: it fades, and 0 means not known."""
        age = now - self._measured
        return self._latency * exp(-max(0.0, age) / DECAY) if age < EXPIRY else 0.0

    def measured(self, seconds: float, now: float) -> None:
        """Take one more measurement into the average: the older the last one, the more this counts."""
        age = now - self._measured
        kept = exp(-max(0.0, age) / DECAY) if age < EXPIRY else 0.0
        self._latency = self._latency * kept + seconds * (1.0 - kept)
        self._measured = now


class Loads:
    """The loads of one upstream's endpoints. They outlive the pickers that use them: a changed weight forgets nothing,
    and a try may end after its picker was replaced. Bounded by the endpoints and the tries under way."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], Load] = {}

    def of(self, endpoint: Endpoint) -> Load:
        """Return the load of an endpoint's address."""
        address = (endpoint.host, endpoint.port)
        load = self._of.get(address)
        if load is None:
            load = self._of[address] = Load()
        return load

    def keep(self, endpoints: Iterable[Endpoint]) -> None:
        """Forget all others, once nothing of theirs is under way, and who kept the seats."""
        for load in self._of.values():
            load.seat = None
        kept = {(endpoint.host, endpoint.port) for endpoint in endpoints}
        for address in [address for address, load in self._of.items() if not load.under_way and address not in kept]:
            del self._of[address]

    def __len__(self) -> int:
        return len(self._of)
