"""One target under watch: its state, when it is probed next, and what is to be said of it."""

import asyncio
from dataclasses import dataclass, field

from userspace.health.state import NEW, Health, Outcome, after, limit_of
from userspace.health.targets import Target

Row = list[object]
"""[upstream, address, port, hostname, [endpoints], status, success, http, tcp, timeout, why, [ejected endpoints]]"""


@dataclass(slots=True, eq=False)
class Watch:
    """`due`: loop time of the next probe. `why`: what brought its present state."""

    target: Target
    health: Health = NEW
    why: str = ""
    due: float = 0.0
    timer: asyncio.TimerHandle | None = None
    probing: "asyncio.Task[None] | None" = None
    ejected: frozenset[str] = field(default_factory=frozenset)

    @property
    def interval(self) -> int:
        """Seconds between probes in its present state."""
        active = self.target.checks.active
        return active.healthy_interval if self.health.is_up else active.unhealthy_interval

    def take(self, outcome: Outcome, why: str, is_passive: bool) -> bool:
        """Count one outcome; True when anything about the state changed."""
        checks = self.target.checks
        limits = checks.passive.limits if is_passive and checks.passive is not None else checks.active.limits
        limit = limit_of(limits, outcome)
        health = after(self.health, outcome, limit)
        if health is self.health:
            return False
        self.why = f"{why} ({outcome} {getattr(health, outcome)} of {limit})"
        self.health = health
        return True

    def row(self) -> Row:
        """What the node is told."""
        target, health = self.target, self.health
        counters = [health.success, health.http_failure, health.tcp_failure, health.timeout_failure]
        names = [target.upstream, target.host, target.port, target.hostname, list(target.endpoints)]
        return [*names, health.status.value, *counters, self.why, sorted(self.ejected)]

    def stop(self) -> None:
        """Probe no more."""
        if self.timer is not None:
            self.timer.cancel()
        if self.probing is not None:
            self.probing.cancel()
