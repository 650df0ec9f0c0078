"""Endpoints that are much slower than their like: found per window, left out for a while. Pure, time is an argument."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from control.model.health import Latency

WINDOW: Final = 5.0  # seconds between two judgements
MOST_TIMES: Final = 10  # an endpoint ejected again and again is left out at most so many times `eject` seconds


@dataclass(slots=True)
class Ejection:
    """`until`: clock time. `times`: in a row; forgotten after as long in favour as it was left out."""

    until: float
    times: int
    seconds: float


@dataclass(slots=True)
class Outliers:
    """The endpoints of one upstream. Latencies are in ms, as workers report them."""

    ejected: dict[str, Ejection] = field(default_factory=dict)
    _window: dict[str, tuple[int, float]] = field(default_factory=dict)

    def add(self, endpoint: str, requests: int, total_ms: float) -> None:
        """Note so many answers of an endpoint."""
        known = self._window.get(endpoint, (0, 0.0))
        self._window[endpoint] = (known[0] + requests, known[1] + total_ms)

    def out(self, now: float) -> frozenset[str]:
        """The endpoints that are left out now."""
        return frozenset(endpoint for endpoint, ejection in self.ejected.items() if ejection.until > now)

    def judge(self, latency: Latency, endpoints: Iterable[str], now: float) -> dict[str, str]:
        """End the window; return the endpoints to leave out from now on, each with why. `endpoints`: all there are."""
        window, self._window = self._window, {}
        known = frozenset(endpoints)
        self.ejected = {
            endpoint: ejection
            for endpoint, ejection in self.ejected.items()
            if endpoint in known and ejection.until + ejection.seconds > now
        }
        means = {
            endpoint: total / requests
            for endpoint, (requests, total) in window.items()
            if requests >= latency.requests and endpoint in known
        }
        out = self.out(now)
        fresh: dict[str, str] = {}
        for endpoint, mean in sorted(means.items(), key=lambda item: -item[1]):
            others = [other for name, other in means.items() if name != endpoint and name not in fresh]
            allowed = (len(out) + len(fresh) + 1) * 100 <= latency.share * len(known)
            if endpoint in out or not others or not allowed:
                continue
            usual = median(others)
            if mean > max(latency.seconds * 1000, latency.factor * usual):
                fresh[endpoint] = f"latency of {mean:.0f} ms, the others' is {usual:.0f} ms"
                self._eject(endpoint, latency, now)
        return fresh

    def _eject(self, endpoint: str, latency: Latency, now: float) -> None:
        before = self.ejected.get(endpoint)
        times = min(MOST_TIMES, before.times + 1 if before is not None else 1)
        seconds = float(latency.eject * times)
        self.ejected[endpoint] = Ejection(now + seconds, times, seconds)
