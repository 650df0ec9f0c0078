"""The request as an endpoint sees it. Pure: heads in, bytes out."""

from typing import NamedTuple

from control.model.upstream import DEFAULT_PORT, Endpoint, Upstream
from userspace.http.events import Headers, RequestHead
from userspace.http.headers import request_fields
from userspace.http.http1 import serialize_request_head
from userspace.http.target import origin_form

_DEBUG = b"x-unilb-debug"


class Peer(NamedTuple):
    """Who sent the request: its address, the port it connected to, and whether its X-Forwarded-* count
    (None: no trusted addresses are configured)."""

    address: str
    field: bytes
    port: int
    trusted: bool | None


def endpoint_head(head: RequestHead, upstream: Upstream, endpoint: Endpoint, peer: Peer) -> bytes:
    """Return the head to send to `endpoint`."""
    fields = request_fields(head, host_for(head, upstream, endpoint), peer.field, b"http", peer.port, peer.trusted)
    return serialize_request_head(head.method, origin_form(head), fields)


def host_for(head: RequestHead, upstream: Upstream, endpoint: Endpoint) -> bytes:
    """Return the Host that `pass_host` asks for. An HTTP/1.0 request without one gets the endpoint's."""
    if upstream.pass_host == "rewrite" and upstream.upstream_host is not None:
        return upstream.upstream_host.encode("ascii")
    if upstream.pass_host == "node" or not head.authority:
        if endpoint.port != DEFAULT_PORT:
            return endpoint.address.encode("ascii")
        return (f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host).encode("ascii")
    return head.authority.encode("ascii")


def asks_for_revision(headers: Headers) -> bool:
    """True when the client wants to know which revision decided: `X-Unilb-Debug: revision`."""
    for name, value in headers:  # noqa: SIM110  runs for every request: a generator would double its cost
        if len(name) == 13 and name.lower() == _DEBUG and value == b"revision":
            return True
    return False
