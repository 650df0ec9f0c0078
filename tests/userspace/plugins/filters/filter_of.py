"""A filter made of a configuration as a route has it, and what it decides."""

from typing import Any

from userspace.http.request import Request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filter import Filter
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.response import Response


def filter_of(name: str, conf: dict[str, Any], env: Env | None = None) -> Filter:
    """The filter itself; a configuration that it cannot be made of fails the test."""
    trouble: list[str] = []
    filter = build_chain({name: conf}, env or Env(), trouble=trouble.append).steps[0].filter
    assert not trouble
    return filter


def said(outcome: Outcome) -> tuple[int, str]:
    """Status and body of an answer; (0, "") when the request goes on."""
    if outcome is None:
        return 0, ""
    assert isinstance(outcome, Reply)
    return outcome.status, outcome.body.decode()


def location(outcome: Outcome) -> str | None:
    """Where an answer redirects to."""
    assert outcome is None or isinstance(outcome, Reply)
    return dict(outcome.headers)[b"Location"].decode() if outcome is not None else None


def answered(filter: Filter, one: Request, *headers: tuple[bytes, bytes]) -> dict[str, str]:
    """The headers that an answer of 200 leaves the header filter with; of equal names the values joined."""
    response = one.response = Response(200, list(headers), False)
    filter.header_filter(one, response)
    joined: dict[str, str] = {}
    for name, value in response.headers:
        before = joined.get(name.decode())
        joined[name.decode()] = value.decode() if before is None else f"{before}, {value.decode()}"
    return joined
