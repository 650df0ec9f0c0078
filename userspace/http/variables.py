"""The variables of a request, by nginx's and APISIX's names: `uri`, `arg_x`, `http_x`, `remote_addr`, ..."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from userspace.http.request import Request

_Getter = Callable[["Request"], str | None]


def lookup(request: "Request", name: str) -> str | None:
    """Return the value of a variable as text, or None when it has none. Unknown names have none."""
    getter = _EXACT.get(name)
    if getter is not None:
        return getter(request)
    prefix, underscore, rest = name.partition("_")
    family = _FAMILIES.get(prefix) if underscore and rest else None
    return None if family is None else family(request, rest)


def text(value: bytes | None) -> str | None:
    """Header bytes as text: UTF-8, other bytes as surrogate escapes."""
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _field(request: "Request", name: str) -> str | None:
    wanted = name.lower().replace("_", "-").encode("utf-8", "surrogateescape")
    values = request.header_values(wanted)
    if not values:
        return None
    return text((b"; " if wanted == b"cookie" else b", ").join(values))


def _request_uri(request: "Request") -> str:
    query = request.query
    return request.path if not query else f"{request.path}?{query.decode('latin-1')}"


_EXACT: Final[Mapping[str, _Getter]] = {
    "uri": lambda r: r.path,
    "document_uri": lambda r: r.path,
    "request_uri": _request_uri,
    "real_request_uri": lambda r: r.head.target.decode("latin-1"),
    "args": lambda r: r.query.decode("latin-1"),
    "query_string": lambda r: r.query.decode("latin-1"),
    "is_args": lambda r: "?" if r.query else "",
    "host": lambda r: r.host,
    "http_host": lambda r: r.head.authority or None,
    "hostname": lambda r: r.host,
    "server_name": lambda r: r.host,
    "request_method": lambda r: r.method,
    "method": lambda r: r.method,
    "scheme": lambda r: r.peer.scheme,
    "https": lambda r: "on" if r.peer.scheme == "https" else "",
    "server_protocol": lambda r: f"HTTP/{r.head.version}",
    "request": lambda r: f"{r.method} {r.head.target.decode('latin-1')} HTTP/{r.head.version}",
    "remote_addr": lambda r: r.remote_addr,
    "remote_port": lambda r: str(r.remote_port),
    "realip_remote_addr": lambda r: r.peer.address,
    "server_addr": lambda r: r.peer.server_address,
    "server_port": lambda r: str(r.peer.server_port),
    "content_length": lambda r: text(r.header(b"content-length")),
    "content_type": lambda r: text(r.header(b"content-type")),
    "consumer_name": lambda r: r.consumer_name,
    "matched_uri": lambda r: r.matched_uri,
    "matched_host": lambda r: r.matched_host,
}
_FAMILIES: Final[Mapping[str, Callable[["Request", str], str | None]]] = {
    "arg": lambda r, name: r.arg(name),
    "cookie": lambda r, name: r.cookie(name),
    "http": _field,
}
