"""Picker: chooses an endpoint for each try. What all kinds of it have in common."""

from collections.abc import Iterator, Set
from typing import NamedTuple

from control.model.upstream import Endpoint

NONE: frozenset[Endpoint] = frozenset()


class Member(NamedTuple):
    """An endpoint that may be picked. `share`: what part of its weight counts, below 1 while it warms up."""

    endpoint: Endpoint
    weight: int
    share: float = 1.0


class Picker:
    """Base of all kinds, and the picker that has nothing to choose from. Made off the request path (see build.py); what
    it remembers between picks is one worker's own."""

    __slots__ = ()

    wants_key = False  # `pick` is to be given a key
    wants_feedback = False  # `began` and `ended` are to be called

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        """Return the endpoint for the next try, none of `tried`; None when all were."""
        return None

    def began(self, endpoint: Endpoint) -> None:
        """A try at `endpoint` is under way."""

    def ended(self, endpoint: Endpoint, seconds: float | None) -> None:
        """A try at `endpoint` is over, after `seconds`; None when it gave no response. Once for each `began`, which may
        have been another picker's of the same upstream, now replaced."""

    def leaves(self) -> "Iterator[Picker]":
        """The pickers that this one is made of, itself if of none."""
        yield self


NOBODY = Picker()
