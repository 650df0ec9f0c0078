"""The request as an endpoint sees it. Pure: heads in, bytes out."""

from control.model.upstream import DEFAULT_PORT, DEFAULT_TLS_PORT, Endpoint, Upstream
from userspace.http.events import Headers, RequestHead
from userspace.http.headers import request_fields
from userspace.http.http1 import serialize_request_head
from userspace.http.request import Request
from userspace.http.target import origin_form

_DEBUG = b"x-unilb-debug"


def endpoint_head(request: Request, upstream: Upstream, endpoint: Endpoint, offered: bytes | None = None) -> bytes:
    """Return the head to send to `endpoint`. `offered` are the protocols that it may change to."""
    head, peer = request.head, request.peer
    host = request.upstream_host or host_for(head, upstream, endpoint)
    if upstream.pass_host != "pass":
        request.sent_host = host
    client = peer.field if request.remote_addr is peer.address else request.remote_addr.encode("ascii")
    scheme = peer.scheme.encode("ascii")
    fields = request_fields(head, host, client, scheme, peer.server_port, peer.trusted, offered, request.forwarded)
    return serialize_request_head(request.method, target_of(request), fields)


def target_of(request: Request) -> bytes:
    """Return path and query for the endpoint: as the client sent them, but for what plugins changed."""
    target = origin_form(request.head)
    if request.upstream_path is None and request.upstream_query is None:
        return target
    path, mark, query = target.partition(b"?")
    if request.upstream_path is not None:
        path = request.upstream_path
    if request.upstream_query is not None:
        query, mark = request.upstream_query, b"?" if request.upstream_query else b""
    return path + mark + query


def host_for(head: RequestHead, upstream: Upstream, endpoint: Endpoint) -> bytes:
    """Return the Host that `pass_host` asks for. An HTTP/1.0 request without one gets the endpoint's."""
    if upstream.pass_host == "rewrite" and upstream.upstream_host is not None:
        return upstream.upstream_host.encode("ascii")
    if upstream.pass_host == "node" or not head.authority:
        default = DEFAULT_TLS_PORT if upstream.scheme in ("https", "grpcs") else DEFAULT_PORT
        name = endpoint.domain or (f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host)
        return (name if endpoint.port == default else f"{name}:{endpoint.port}").encode("ascii")
    return head.authority.encode("ascii")


def asks_for_revision(headers: Headers) -> bool:
    """True when the client wants to know which revision decided: `X-Unilb-Debug: revision`."""
    for name, value in headers:  # noqa: SIM110  runs for every request: a generator would double its cost
        if len(name) == 13 and name.lower() == _DEBUG and value == b"revision":
            return True
    return False
