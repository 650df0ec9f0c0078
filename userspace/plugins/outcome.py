"""What a phase of a plugin decides: nothing (None: go on), an answer, or to wait."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

JSON: Final = (b"Content-Type", b"application/json")
TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """The request is answered with this and goes to no endpoint. `headers` lack the framing."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (TEXT,)

    @classmethod
    def json(cls, status: int, document: Mapping[str, Any] | list[Any], *headers: tuple[bytes, bytes]) -> Self:
        """An answer whose body is `document` and a line feed, as APISIX writes it."""
        return cls(status, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE), (JSON, *headers))


FAILED: Final = Reply.json(500, {"error_msg": "500 Internal Server Error"})
"""A plugin raised: what it guards stays closed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on, or answer with `reply`, after `seconds`."""

    seconds: float
    reply: Reply | None = None


Answered = Callable[[Any], None]


def _as_it_is(answer: Any) -> "Outcome":
    outcome: Outcome = answer
    return outcome


@dataclass(frozen=True, slots=True)
class Asked:
    """Wait until somebody else has the answer: `begin` asks, and has called back once, at once or by and by. Whoever is
    asked answers within a time of its own. `then` decides by the answer; by itself that is what is decided."""

    begin: Callable[[Answered], None]
    then: Callable[[Any], "Outcome"] = _as_it_is


Outcome = Reply | Wait | Asked | None
