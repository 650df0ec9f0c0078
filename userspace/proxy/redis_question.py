"""Question: one script on one key, as it waits for a connection to Redis."""

from collections.abc import Callable
from typing import Any

from userspace.net import join_host_port
from userspace.plugins.counting import Address, Answer, Script


class Lost(Exception):
    """An answer that does not come: the connection is gone, or the server sends us away."""


class Sent(Exception):
    """A node of a cluster answers that another one has the key; `is_once`: for this question alone, while a slot moves
    from one to the other (ASK), else from now on (MOVED)."""

    def __init__(self, address: Address, is_once: bool) -> None:
        super().__init__(f"the key is at {join_host_port(*address)}")
        self.address = address
        self.is_once = is_once


class Question:
    """`answered` is called once. `asked_at`: since when it waits. `is_let_in`: the node that it goes to takes a slot
    over and answers those alone who say so."""

    __slots__ = ("_arguments", "_script", "answered", "asked_at", "is_let_in", "key")

    def __init__(
        self, script: Script, key: str, arguments: tuple[str, ...], answered: Callable[[Answer], None]
    ) -> None:
        self._script = script
        # As bytes: what a client sent need not be UTF-8.
        self.key = key.encode("utf-8", "surrogateescape")
        self._arguments = arguments
        self.answered = answered
        self.asked_at = 0.0
        self.is_let_in = False

    @property
    def by_name(self) -> tuple[Any, ...]:
        """The command, for a server that knows the script."""
        return ("EVALSHA", self._script.sha, 1, self.key, *self._arguments)

    @property
    def by_text(self) -> tuple[Any, ...]:
        """The command that teaches it."""
        return ("EVAL", self._script.text, 1, self.key, *self._arguments)

    def takes_back(self, error: Exception) -> bool:
        """Nobody answered, because of `error`. True when it goes elsewhere, False when it is to be told so."""
        return False
