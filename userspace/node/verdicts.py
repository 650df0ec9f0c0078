"""What the checker last said: the state of each checked endpoint and the addresses of each name. Pure.

It outlives the checker: while that is replaced, workers go on with what is here, and its successor begins with it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

UP: Final = ("healthy", "mostly_healthy")
MAX_REPORTED: Final = 2000  # endpoints; those that are down come first


class Endpoint(NamedTuple):
    """A row of the checker's (see userspace/health/watch.py). `endpoints`: whose state it is, address:port; `ejected`:
    those of them that are left out for their latency."""

    upstream: str
    ip: str
    port: int
    hostname: str
    endpoints: Sequence[str]
    status: str
    success: int
    http_failure: int
    tcp_failure: int
    timeout_failure: int
    why: str
    ejected: Sequence[str]

    @property
    def is_up(self) -> bool:
        """Whether its status lets it be used."""
        return self.status in UP

    @property
    def down(self) -> Sequence[str]:
        """The endpoints that are not to be used."""
        return self.ejected if self.is_up else self.endpoints


class Verdicts:
    """`transitions`: how often an endpoint went up or down, or was left out for its latency, by (upstream, to), of the
    upstreams that are there."""

    def __init__(self) -> None:
        self._transitions = 0  # of all that ever were
        self.transitions: dict[tuple[str, str], int] = {}
        self.names: dict[str, tuple[Sequence[str], str]] = {}
        self._by_upstream: dict[str, dict[tuple[str, int], Endpoint]] = {}

    def __iter__(self) -> Iterator[Endpoint]:
        for endpoints in self._by_upstream.values():
            yield from endpoints.values()

    def take(self, rows: Iterable[Sequence[Any]], gone: Iterable[Sequence[Any]]) -> tuple[set[str], list[str]]:
        """Take a message of the checker; return the upstreams whose `down` changed, and what to log of it."""
        before: dict[str, set[str]] = {}
        events: list[str] = []
        for upstream, ip, port in gone:
            before.setdefault(upstream, self.down(upstream))
            endpoints = self._by_upstream.get(upstream, {})
            endpoints.pop((ip, port), None)
            if not endpoints:
                self._by_upstream.pop(upstream, None)
                for to in ("up", "down", "ejected"):
                    self.transitions.pop((upstream, to), None)
        for row in rows:
            endpoint = Endpoint(*row)
            before.setdefault(endpoint.upstream, self.down(endpoint.upstream))
            endpoints = self._by_upstream.setdefault(endpoint.upstream, {})
            old = endpoints.get((endpoint.ip, endpoint.port))
            endpoints[endpoint.ip, endpoint.port] = endpoint
            events += self._events(old, endpoint)
        return {upstream for upstream, down in before.items() if self.down(upstream) != down}, events

    def take_names(self, names: dict[str, Any]) -> list[str]:
        """Take a message about names; return what to log of it."""
        events = []
        for name, answer in names.items():
            if answer is None:
                self.names.pop(name, None)
                continue
            addresses, why = answer
            self.names[name] = (addresses, why)
            events.append(f"name {name}: {', '.join(addresses)}" if addresses else f"name {name} has no address: {why}")
        return events

    def down(self, upstream: str) -> set[str]:
        """The endpoints of an upstream that are not to be used, all of them possibly."""
        return {address for endpoint in self._by_upstream.get(upstream, {}).values() for address in endpoint.down}

    def all_down(self) -> dict[str, list[str]]:
        """The endpoints that are not to be used, by upstream."""
        return {upstream: sorted(down) for upstream in self._by_upstream if (down := self.down(upstream))}

    def down_message(self, upstreams: Iterable[str] | None = None) -> dict[str, Any]:
        """What workers are told of these upstreams; of all that have something down when they start."""
        if upstreams is None:
            return {"type": "down", "upstreams": self.all_down()}
        return {"type": "down", "upstreams": {upstream: sorted(self.down(upstream)) for upstream in upstreams}}

    def names_message(self) -> dict[str, Any]:
        """What workers are told of all names."""
        return {"type": "names", "names": {name: list(answer) for name, answer in self.names.items()}}

    def reported(self) -> dict[str, Any]:
        """What the control plane is told: [upstream, address, port, hostname, status, whether it is left out] of each
        endpoint, and, in the same order, [success, http, tcp, timeout] counted."""
        known = sorted(self, key=lambda endpoint: not endpoint.down)
        chosen = known[:MAX_REPORTED]
        return {
            "endpoints": {"checked": len(known), "reported": len(chosen), "transitions": self._transitions},
            "health": [[*endpoint[:4], endpoint.status, bool(endpoint.ejected)] for endpoint in chosen],
            "health_counters": [list(endpoint[6:10]) for endpoint in chosen],
        }

    def _events(self, old: Endpoint | None, new: Endpoint) -> Iterator[str]:
        what = f"endpoint {', '.join(new.endpoints)} of upstream {new.upstream}"
        if new.is_up != (old.is_up if old is not None else True):
            self._count(new.upstream, "up" if new.is_up else "down")
            yield f"{what} is {'up' if new.is_up else 'down'}: {new.why}"
        ejected = set(new.ejected) - set(old.ejected if old is not None else ())
        if ejected:
            self._count(new.upstream, "ejected")
            yield f"{what} is left out: {new.why}"

    def _count(self, upstream: str, to: str) -> None:
        self._transitions += 1
        self.transitions[upstream, to] = self.transitions.get((upstream, to), 0) + 1
