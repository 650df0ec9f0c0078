"""Health checks: what gateways say of the endpoints that they check, in APISIX's shapes.

Gateways write it into their reports (userspace/node/report.py). `unilb run` has its only one in this process and asks
it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from control.admin.references import decode
from control.admin.reply import Reply, error
from control.control_api.health_page import page
from control.model.keys import PREFIXES, REPORTS, key_of
from control.store.base import Entry, Store

_KINDS = {"routes": "route", "services": "service", "upstreams": "upstream", "stream_routes": "stream_route"}
_LISTED = ("route", "service", "upstream")
_STATUSES: Final = ("healthy", "mostly_healthy", "mostly_unhealthy", "unhealthy")
_COUNTERS: Final = ("success", "http_failure", "tcp_failure", "timeout_failure")

Own = Callable[[], Mapping[str, Any]]
Info = dict[str, Any]


class Health:
    """`own`: the report of the gateway in this process; None when gateways are elsewhere."""

    def __init__(self, store: Store, own: Own | None = None) -> None:
        self._store = store
        self._own = own

    async def everything(self, request: Request) -> Response:
        """The state of every checker: a list, or a page for people."""
        endpoints = await self._endpoints()
        infos = []
        for kind in _LISTED:
            entries, _ = await self._store.range(PREFIXES[kind])
            infos += [info for entry in entries if (info := _info(kind, entry, endpoints)) is not None]
        return _answer(request, infos, infos)

    async def one(self, request: Request) -> Response:
        """The state of the checker of one object."""
        collection, id = request.path_params["collection"], request.path_params["id"]
        if collection not in _KINDS:
            return error(400, f"invalid src type {collection}").to_response()
        entry = await self._store.get(key_of(_KINDS[collection], id))
        if entry is None:
            return error(404, f"{collection}[{id}] not found").to_response()
        info = _info(_KINDS[collection], entry, await self._endpoints())
        if info is None:
            return error(404, f"no checker for {collection}[{id}]").to_response()
        return _answer(request, info, [info])

    async def nothing(self, request: Request) -> Response:
        """A path that names no object."""
        return error(404, f"missing src id for src type {request.path_params['collection']}").to_response()

    async def _endpoints(self) -> Mapping[str, list[Info]]:
        """The endpoints of each upstream, as the gateways that look worst on them say."""
        if self._own is not None:
            return _worst([self._own()])
        entries, _ = await self._store.range(REPORTS)
        return _worst(orjson.loads(entry.value) for entry in entries)


def _worst(reports: Iterable[Mapping[str, Any]]) -> dict[str, list[Info]]:
    """Several gateways check the same endpoint: the worst status is shown, with the counters that go with it."""
    found: dict[tuple[str, str, int], Info] = {}
    for report in reports:
        for row, counters in zip(report.get("health", ()), report.get("health_counters", ()), strict=False):
            upstream, ip, port, hostname, status, is_left_out = row
            known = found.get((upstream, ip, port))
            if known is not None and _STATUSES.index(known["status"]) >= _STATUSES.index(status):
                continue
            counted = dict(zip(_COUNTERS, counters, strict=True))
            info = {"ip": ip, "port": port, "hostname": hostname, "status": status, "counter": counted}
            found[upstream, ip, port] = {**info, "ejected": True} if is_left_out else info
    by_upstream: dict[str, list[Info]] = {}
    for (upstream, _, _), info in found.items():
        by_upstream.setdefault(upstream, []).append(info)
    return by_upstream


def _info(kind: str, entry: Entry, endpoints: Mapping[str, list[Info]]) -> Info | None:
    """What APISIX says of a checker; None for an object without checks."""
    doc = decode(entry)
    if doc is None:
        return None
    checks = (doc if kind == "upstream" else doc.get("upstream") or {}).get("checks")
    if not checks:
        return None
    id = entry.key[len(PREFIXES[kind]) :]
    nodes = endpoints.get(id if kind == "upstream" else f"{kind}s/{id}", [])
    return {"name": entry.key, "type": checks.get("active", {}).get("type", "http"), "nodes": nodes}


def _answer(request: Request, body: Any, infos: list[Info]) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(page(infos))
    return Reply(200, body).to_response()
