"""A stand-in for compiled routes in the tests of the tables."""

from dataclasses import dataclass

from userspace.routing.expr import Condition


@dataclass(frozen=True, slots=True)
class Named:
    id: str
    methods: frozenset[str] | None = None
    priority: int = 0
    condition: Condition | None = None

    @property
    def order(self) -> tuple[int, str]:
        return (-self.priority, self.id)


def named(id: str, *methods: str, priority: int = 0) -> Named:
    return Named(id, frozenset(methods) or None, priority)
