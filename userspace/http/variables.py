"""The variables of a request, by nginx's and APISIX's names: `uri`, `arg_x`, `http_x`, `remote_addr`, ...

A value is text. Those that stand for parts of a body (`post_arg.x`, `graphql_root_fields`) may be what JSON has.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from os import uname, urandom
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from userspace.http.body_variables import BodyWanted, graphql, post_arg, posted_form

if TYPE_CHECKING:
    from userspace.http.request import Request

IN_BODY: Final = ("post_arg_", "post_arg.", "graphql_")
"""How the names begin of variables that stand for parts of a request's body."""

Getter = Callable[["Request"], Any]
"""From a request to a variable's value; None when it has none. May raise BodyWanted."""


# Names come from the configuration; clients name none.
@lru_cache(maxsize=4096)
def getter(name: str) -> Getter:
    """Return what gets the variable `name`. One that nobody knows never has a value."""
    exact = _EXACT.get(name)
    if exact is not None:
        return exact
    for prefix, family in _FAMILIES:
        if name.startswith(prefix) and len(name) > len(prefix):
            return family(name[len(prefix) :])
    return lambda request: None


def lookup(request: "Request", name: str) -> str | None:
    """Return the value of a variable as text, or None when it has none: also when it stands for a part of a body that
    nobody has read."""
    try:
        value = getter(name)(request)
    except BodyWanted:
        return None
    if value is None or isinstance(value, str):
        return value
    return as_text(value)


def as_text(value: Any) -> str | None:
    """A value out of JSON as text: scalars only, numbers as Lua writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.14g}"
    return value if isinstance(value, str) else None


def text(value: bytes | None) -> str | None:
    """Header bytes as text: UTF-8, other bytes as surrogate escapes."""
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _arg(name: str) -> Getter:
    return lambda request: request.arg(name)


def _cookie(name: str) -> Getter:
    return lambda request: request.cookie(name)


def _field(name: str) -> Getter:
    """As in nginx, `-` and `_` are the same in names of fields."""
    wanted = name.lower().replace("-", "_").encode("utf-8", "surrogateescape")
    length = len(wanted)
    joint = b"; " if wanted == b"cookie" else b", "

    def get(request: "Request") -> str | None:
        values = [
            value
            for field, value in request.head.headers
            if len(field) == length and field.lower().replace(b"-", b"_") == wanted
        ]
        return text(joint.join(values)) if values else None

    return get


def _answer_field(name: str) -> Getter:
    wanted = name.lower().replace("_", "-").encode("utf-8", "surrogateescape")
    return lambda r: text(b", ".join(r.response.header_values(wanted)) or None) if r.response is not None else None


def _param(name: str) -> Getter:
    return lambda request: request.params.get(name)


_FAMILIES: Final[tuple[tuple[str, Callable[[str], Getter]], ...]] = (
    ("arg_", _arg),
    ("cookie_", _cookie),
    ("http_", _field),
    ("sent_http_", _answer_field),
    ("upstream_http_", _answer_field),
    ("uri_param_", _param),
    ("post_arg_", posted_form),
    ("post_arg.", post_arg),
    ("graphql_", graphql),
)


def _request_uri(request: "Request") -> str:
    query = request.query
    return request.path if not query else f"{request.path}?{query.decode('latin-1')}"


def _upstream_uri(request: "Request") -> str | None:
    """What a plugin made of path and query for endpoints; "" while none did."""
    path, query = request.upstream_path, request.upstream_query
    if path is None:
        return ""
    query = request.query if query is None else query
    return text(path + b"?" + query if query else path)


def _basic_user(request: "Request") -> str | None:
    scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return b64decode(token.strip()).partition(b":")[0].decode("utf-8", "surrogateescape")
    except ValueError:
        return None


def _tls(field: str) -> Getter:
    return lambda r: getattr(r.peer.tls, field) or None if r.peer.tls is not None else None


def _indented_certificate(request: "Request") -> str | None:
    """In PEM, each line but the first behind a tab, so that it could stand in a header field of old (as nginx)."""
    tls = request.peer.tls
    return tls.client_cert.strip().replace("\n", "\n\t") if tls is not None and tls.client_cert else None


def _escaped_certificate(request: "Request") -> str | None:
    tls = request.peer.tls
    return quote(tls.client_cert, safe="") if tls is not None and tls.client_cert else None


def _of_route(get: Callable[[Any], str | None]) -> Getter:
    return lambda r: get(r.route.route) if r.route is not None else None


def _summary(get: Callable[[Any], Any]) -> Getter:
    """What is known once the exchange is over."""

    def value(request: "Request") -> str | None:
        found = get(request.summary) if request.summary is not None else None
        return None if found is None else str(found)

    return value


def _tries(get: Callable[[Any], str], so_far: Getter = lambda request: None) -> Getter:
    """Of each try, as nginx lists them; None when no endpoint was asked. `so_far`: before the exchange is over."""
    at_last = _summary(lambda s: ", ".join(get(one) for one in s.all_tries) or None)
    return lambda request: (at_last if request.summary is not None else so_far)(request)


def _seconds(ms: float | None) -> str:
    return "-" if ms is None else f"{ms / 1000:.3f}"


def _asked(request: "Request") -> str | None:
    return request.endpoint.address if request.endpoint is not None else None


def _said(request: "Request") -> str | None:
    """Known from the header filters on."""
    return request.response.upstream_status if request.response is not None else None


def _unresolved_host(request: "Request") -> str | None:
    """The endpoint's host as it was configured: a name, where it has one."""
    endpoint = request.endpoint
    return None if endpoint is None else endpoint.domain or endpoint.host


def _request_id(request: "Request") -> str:
    """Made when it is first asked for."""
    found: str = request.state.get("request id") or request.state.setdefault("request id", urandom(16).hex())
    return found


def _upstream_scheme(request: "Request") -> str:
    slot = request.upstream_slot or (request.route.slot if request.route is not None else None)
    upstream = slot.compiled.upstream if slot is not None else None
    return request.upstream_scheme or (upstream.scheme if upstream is not None else "http")


def _local(summary: Any) -> datetime:
    """When the exchange ended, in the time zone of this machine."""
    return datetime.fromtimestamp(summary.started + summary.request_ms / 1000, UTC).astimezone()


def _request_line(request: "Request") -> str:
    """As it came."""
    return f"{request.method} {request.head.target.decode('latin-1')} HTTP/{request.head.version}"


def _status(request: "Request") -> str | None:
    if request.summary is not None:
        return str(request.summary.status)
    return str(request.response.status) if request.response is not None else None


_EXACT: Final[Mapping[str, Getter]] = {
    "uri": lambda r: r.path,
    "document_uri": lambda r: r.path,
    "request_uri": _request_uri,
    "real_request_uri": lambda r: r.head.target.decode("latin-1"),
    "args": lambda r: r.query.decode("latin-1"),
    "query_string": lambda r: r.query.decode("latin-1"),
    "is_args": lambda r: "?" if r.query else "",
    "host": lambda r: r.host,
    "http_host": lambda r: r.head.authority or None,
    "hostname": lambda r: uname().nodename,
    "request_id": _request_id,
    "apisix_request_id": lambda r: r.state.get("request-id") or _request_id(r),
    "server_name": lambda r: r.host,
    "request_method": lambda r: r.method,
    "method": lambda r: r.method,
    "scheme": lambda r: r.peer.scheme,
    "https": lambda r: "on" if r.peer.scheme == "https" else "",
    "server_protocol": lambda r: f"HTTP/{r.head.version}",
    "request": _request_line,
    "request_line": _request_line,
    "remote_addr": lambda r: r.remote_addr,
    "remote_port": lambda r: str(r.remote_port or ""),
    "remote_user": _basic_user,
    "realip_remote_addr": lambda r: r.peer.address,
    "realip_remote_port": lambda r: str(r.peer.port),
    "server_addr": lambda r: r.peer.server_address,
    "server_port": lambda r: str(r.peer.server_port),
    "content_length": lambda r: text(r.header(b"content-length")),
    "content_type": lambda r: text(r.header(b"content-type")),
    "request_body": lambda r: text(r.body or None),
    "status": _status,
    "request_length": _summary(lambda s: s.bytes_in),
    "bytes_sent": _summary(lambda s: s.bytes_out),
    "body_bytes_sent": _summary(lambda s: max(0, s.bytes_out - s.head_bytes)),
    "time_local": _summary(lambda s: _local(s).strftime("%d/%b/%Y:%H:%M:%S %z")),
    "time_iso8601": _summary(lambda s: _local(s).isoformat(timespec="seconds")),
    "request_time": _summary(lambda s: f"{s.request_ms / 1000:.3f}"),
    "upstream_addr": _tries(lambda one: one.address, _asked),
    "upstream_status": _tries(lambda one: str(one.status or "-"), _said),
    "upstream_response_time": _tries(lambda one: f"{one.ms / 1000:.3f}"),
    "upstream_connect_time": _tries(lambda one: _seconds(one.connect_ms)),
    "upstream_header_time": _tries(lambda one: _seconds(one.header_ms)),
    "upstream_unresolved_host": _unresolved_host,
    "msec": _summary(lambda s: f"{s.started + s.request_ms / 1000:.3f}"),
    "upstream_scheme": _upstream_scheme,
    "upstream_uri": _upstream_uri,
    "upstream_host": lambda r: text(r.upstream_host or r.sent_host) or r.head.authority or None,
    "ssl_server_name": _tls("server_name"),
    "ssl_protocol": _tls("protocol"),
    "ssl_cipher": _tls("cipher"),
    "ssl_session_id": _tls("session_id"),
    "ssl_client_verify": _tls("client_verify"),
    "ssl_client_s_dn": _tls("client_subject"),
    "ssl_client_i_dn": _tls("client_issuer"),
    "ssl_client_serial": _tls("client_serial"),
    "ssl_client_fingerprint": _tls("client_fingerprint"),
    "ssl_client_cert": _indented_certificate,
    "ssl_client_raw_cert": _tls("client_cert"),
    "ssl_client_escaped_cert": _escaped_certificate,
    "ssl_client_v_start": _tls("client_begin"),
    "ssl_client_v_end": _tls("client_end"),
    "ssl_alpn_protocol": _tls("alpn"),
    "ssl_session_reused": lambda r: None if r.peer.tls is None else "r" if r.peer.tls.resumed else ".",
    "consumer_name": lambda r: r.consumer_name,
    "consumer_group_id": lambda r: r.consumer.group_id if r.consumer is not None else None,
    "route_id": _of_route(lambda route: route.id),
    "route_name": _of_route(lambda route: route.name or None),
    "service_id": _of_route(lambda route: route.service_id),
    "balancer_ip": lambda r: r.endpoint.host if r.endpoint is not None else None,
    "balancer_port": lambda r: str(r.endpoint.port) if r.endpoint is not None else None,
    "matched_uri": lambda r: r.matched_uri,
    "matched_host": lambda r: r.matched_host,
}
