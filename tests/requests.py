"""Requests for tests of what decides by them: routing, hashing, plugins."""

from userspace.http.head import RequestHeadReader
from userspace.http.limits import DEFAULT_LIMITS
from userspace.http.request import Peer, Request

PEER = Peer("192.0.2.7", b"192.0.2.7", 40000, "127.0.0.1", 9080, None)


def request(
    method: str = "GET", target: str = "/", *fields: str, host: str = "any.example", peer: Peer = PEER
) -> Request:
    """A request as the codec would have read it; `fields` are header lines."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    return Request(RequestHeadReader(DEFAULT_LIMITS).read("\r\n".join(lines).encode()), peer)


def asked(host: str, path: str, method: str = "GET") -> Request:
    """A request for exactly this, also where no codec would let it pass."""
    made = request()
    made.host, made.path, made.method = host, path, method
    return made
