"""Objects: an immutable mapping whose changed copy costs what changed, not what is in it."""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_OVERLAY: Final = 512  # changes kept beside the base before they are folded into a new one


class Objects(Mapping[str, T], Generic[T]):
    """Id to object. A large base, shared between versions and never written, below a small overlay.

    `changed` copies the overlay only; each 512th change folds it, which costs one copy of the base (0.4 ms for 100,000
    entries).
    """

    __slots__ = ("_base", "_overlay", "_size")

    def __init__(self, base: dict[str, T] | None = None) -> None:
        self._base = base or {}
        self._overlay: dict[str, T | None] = {}  # None: not there any more
        self._size = len(self._base)

    def changed(self, changes: Mapping[str, T | None]) -> "Objects[T]":
        """Return a version in which each id of `changes` has its new object, or none for None."""
        overlay = {**self._overlay, **changes}
        if len(overlay) > MAX_OVERLAY:
            base = self._base.copy()
            for id, kept in overlay.items():
                if kept is None:
                    base.pop(id, None)
                else:
                    base[id] = kept
            return Objects(base)
        copy: Objects[T] = Objects(self._base)
        copy._overlay = overlay
        copy._size = self._size + sum((new is not None) - (id in self) for id, new in changes.items())
        return copy

    def __getitem__(self, id: str) -> T:
        if id in self._overlay:
            found = self._overlay[id]
            if found is None:
                raise KeyError(id)
            return found
        return self._base[id]

    def __contains__(self, id: object) -> bool:
        if id in self._overlay:
            return self._overlay[id] is not None
        return id in self._base

    def __iter__(self) -> Iterator[str]:
        overlay = self._overlay
        yield from (id for id in self._base if id not in overlay)
        yield from (id for id, kept in overlay.items() if kept is not None)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Objects({dict(self)!r})"
