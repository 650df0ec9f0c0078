"""Which certificate a server name gets: exact names first, then `*.parent` for one label, then `*` for any name."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def normal(name: str) -> str:
    """A configured name as it is compared: in lower case, without the trailing dot."""
    return name.lower().removesuffix(".")


class SniIndex(Generic[T]):
    """Names to values. Where several have the same name, the one with the smallest order wins, whoever came first.

    Look-ups cost two dictionary reads, however many names there are; a change costs its own names.
    """

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[str, list[tuple[str, T]]] = {}

    def add(self, names: Iterable[str], order: str, value: T) -> None:
        """Let `names`, normal ones, lead to `value`."""
        for name in set(names):
            held = self._names.setdefault(name, [])
            held.append((order, value))
            held.sort(key=lambda pair: pair[0])

    def remove(self, names: Iterable[str], order: str) -> None:
        """Undo `add`."""
        for name in set(names):
            held = [pair for pair in self._names.get(name, ()) if pair[0] != order]
            if held:
                self._names[name] = held
            else:
                self._names.pop(name, None)

    def all(self, name: str) -> Iterator[T]:
        """Every value whose name fits, in the order in which `find` would take them."""
        for key in (name, "*." + name.partition(".")[2], "*"):
            yield from (value for _, value in self._names.get(key, ()))

    def find(self, name: str) -> T | None:
        """The value for a normal name; "" is no name, so that only `*` would fit, which it does not."""
        if not name:
            return None
        held = self._names.get(name)
        if held is None:
            label, dot, parent = name.partition(".")
            held = self._names.get("*." + parent) if dot and label else None
        if held is None:
            held = self._names.get("*")
        return held[0][1] if held else None
