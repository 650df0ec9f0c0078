"""Sticky routes without a network: an upstream, a request, and the stick between them."""

from typing import Any

from control.model.sticky import Sticky, StickyKeys
from control.model.upstream import Endpoint, Upstream
from tests.requests import request
from userspace.balancer.build import NOWHERE
from userspace.config.compiled import CompiledUpstream, compile_upstream
from userspace.config.live import Live
from userspace.http.request import Request
from userspace.proxy.hash_sticks import stick_of
from userspace.proxy.stick import Stick

KEYS = StickyKeys(b"k" * 32)
WEB = tuple(Endpoint(f"10.0.0.{at}", 80, 1) for at in range(1, 5))
DRAINED = Endpoint("10.0.0.9", 80, 0)


def compiled(*down: Endpoint, keys: StickyKeys | None = KEYS, **fields: Any) -> CompiledUpstream:
    """WEB and DRAINED, of which some are down."""
    live = Live()
    live.set_down({"u1": [endpoint.address for endpoint in down]})
    upstream = Upstream("u1", "roundrobin", (*WEB, DRAINED), **fields)
    return compile_upstream(upstream, keys, NOWHERE, 502, None, live, hashes=True)


def compile_of(*endpoints: Endpoint) -> CompiledUpstream:
    """Another set of endpoints, all up."""
    return compile_upstream(Upstream("u1", "roundrobin", endpoints), KEYS, NOWHERE, 502, None, Live(), hashes=True)


def token(endpoint: Endpoint, keys: StickyKeys = KEYS) -> str:
    found = compiled(keys=keys).tokens.token_of(endpoint)
    assert found is not None
    return found.decode()


def stick(conf: dict[str, Any], *fields: str, of: CompiledUpstream | None = None) -> tuple[Stick, Request]:
    asked = request("GET", "/", *fields)
    return stick_of(Sticky.from_json(conf), of or compiled(), asked), asked


def cookies(asked: Request) -> list[bytes]:
    """What the endpoint sees of cookies."""
    return asked.header_values(b"cookie")


def set_by(found: Stick, endpoint: Endpoint, *fields: bytes) -> list[bytes]:
    """The Set-Cookie fields that the client gets when `endpoint` answers with `fields`."""
    headers = found.answer([(b"Set-Cookie", field) for field in fields], endpoint)
    return [value for name, value in headers if name == b"Set-Cookie"]
