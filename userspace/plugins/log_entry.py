"""Log entries of the logger plugins: APISIX's default one, or what a `log_format` says."""

import os
from collections.abc import Mapping
from typing import Any, Final

from userspace.http.request import Request
from userspace.plugins.summary import Summary

VERSION: Final = "unilb"
MAX_DEPTH: Final = 5
_HOSTNAME: Final = os.uname().nodename

Entry = dict[str, Any]


def full_entry(request: Request, summary: Summary) -> Entry:
    """Return the default entry. `start_time` and latencies are ms."""
    route = request.route.route if request.route is not None else None
    target = request.var("request_uri") or ""
    response = request.response
    entry: Entry = {
        "request": {
            "url": f"{request.scheme}://{request.host}:{request.peer.server_port}{target}",
            "uri": target,
            "method": request.method,
            "headers": _fields(request.head.headers),
            "querystring": _arguments(request),
            "size": summary.bytes_in,
        },
        "response": {
            "status": summary.status,
            "headers": _fields(response.headers) if response is not None else {},
            "size": summary.bytes_out,
        },
        "server": {"hostname": _HOSTNAME, "version": VERSION},
        "service_id": (route.service_id or "") if route is not None else request.host,
        "client_ip": request.remote_addr,
        "start_time": round(summary.started * 1000),
        "latency": round(summary.request_ms, 3),
        "apisix_latency": round(summary.request_ms - summary.upstream_ms, 3),
    }
    if route is not None:
        entry["route_id"] = route.id
    if summary.upstream_address is not None:
        entry["upstream"] = request.var("upstream_addr")
        entry["upstream_latency"] = round(summary.upstream_ms, 3)
    if request.consumer_name is not None:
        entry["consumer"] = {"username": request.consumer_name}
    return entry


def formatted_entry(request: Request, form: Mapping[str, Any]) -> Entry:
    """Return the entry that a `log_format` describes: text that begins with `$` names a variable."""
    entry = fields_of(request, form)
    if request.route is not None:
        route = request.route.route
        entry["route_id"] = route.id
        if route.service_id is not None:
            entry["service_id"] = route.service_id
    return entry


def fields_of(request: Request, form: Mapping[str, Any], depth: int = 1) -> Entry:
    """Return what the variables in `form` stand for; those that a request does not have are left out."""
    entry: Entry = {}
    for name, value in form.items():
        if isinstance(value, Mapping):
            if depth < MAX_DEPTH:
                entry[name] = fields_of(request, value, depth + 1)
        elif isinstance(value, str) and value.startswith("$"):
            found = request.var(value[1:])
            if found is not None:
                entry[name] = readable(found)
        else:
            entry[name] = value
    return entry


def readable(text: str) -> str:
    """Text as JSON may have it: bytes that are no UTF-8 become question marks."""
    return text.encode("utf-8", "replace").decode() if any("\ud800" <= char <= "\udfff" for char in text) else text


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """By lower-case name; a list where there are several."""
    found: dict[str, Any] = {}
    for name, value in headers:
        _put(found, name.decode("latin-1").lower(), value.decode("utf-8", "replace"))
    return found


def _arguments(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in request.query.decode("latin-1").split("&") if request.query else ():
        name, equals, _ = pair.partition("=")
        if name in found:
            continue
        value = request.arg(name)
        found[readable(name)] = readable(value) if equals and value is not None else True
    return found


def _put(found: dict[str, Any], name: str, value: str) -> None:
    known = found.get(name)
    if known is None:
        found[name] = value
    elif isinstance(known, list):
        known.append(value)
    else:
        found[name] = [known, value]
