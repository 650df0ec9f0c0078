"""The Admin API as an ASGI application: from path and method to a verb of a resource."""

import math
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from control.admin.audit import AuditLog
from control.admin.auth import AdminKey, authenticate
from control.admin.body import bad_json, parse_body, read_body
from control.admin.consumer_groups import ConsumerGroups
from control.admin.consumers import Consumers
from control.admin.eips import Eips
from control.admin.global_rules import GlobalRules
from control.admin.listing import list_entries, parse_query
from control.admin.nodes import Nodes
from control.admin.openapi import PATH, OpenApi
from control.admin.plugin_configs import PluginConfigs
from control.admin.plugin_metadata import PluginMetadata
from control.admin.plugins import PluginPages
from control.admin.progress import Progress
from control.admin.protos import Protos
from control.admin.references import NoParent
from control.admin.reply import PREFLIGHT, UNKNOWN_METHOD, Reply, error
from control.admin.resource import Resource, Target, Written
from control.admin.routes import Routes
from control.admin.schemas import SchemaPages
from control.admin.secrets import Secrets
from control.admin.services import Services
from control.admin.ssls import Ssls
from control.admin.status import Status
from control.admin.stream_routes import StreamRoutes
from control.admin.upstreams import Upstreams
from control.admin.validate import ConfigPages
from control.admin.vips import Vips
from control.admin.vpcs import Vpcs
from control.allocate.pool import PoolExhausted, Pools
from control.model.errors import ModelError
from control.store.base import MAX_TTL, Store, StoreError

# Answers everything below one word of the path; it is given what follows.
Page = Callable[[Request, str], Awaitable[Reply]]

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?\Z")


class Api:
    """One space of resources below one path prefix."""

    def __init__(
        self,
        resources: list[Resource],
        keys: tuple[AdminKey, ...],
        audit: AuditLog,
        pages: Mapping[str, Page] = MappingProxyType({}),
    ) -> None:
        self._resources = {resource.collection: resource for resource in resources}
        self._pages = pages
        self._keys = keys
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            reply = await self._answer(request)
        except NoParent as problem:
            reply = error(404, str(problem))
        except ModelError as problem:
            reply = error(400, str(problem))
        except (StoreError, PoolExhausted) as problem:
            reply = error(503, str(problem))
        except Exception:
            # Its text may show what the client sent: it goes to our own log only.
            traceback.print_exc(file=sys.stderr)
            reply = error(500, "internal error")
        reply = replace(reply, headers={**reply.headers, "X-API-VERSION": "v3"})
        await reply.to_response()(scope, receive, send)

    async def _answer(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            # A browser asks this before it may send a key.
            return PREFLIGHT
        key = authenticate(request, self._keys)
        if isinstance(key, Reply):
            return key
        if "\n" in request.scope["path"]:
            # The route's pattern passes over a line break at the end, and `/routes/1%0A` is not `/routes/1`.
            return UNKNOWN_METHOD
        collection, _, rest = request.path_params["rest"].strip("/").partition("/")
        if collection in self._pages:
            return await self._pages[collection](request, rest)
        target = self._target(collection, rest)
        if isinstance(target, Reply):
            return target
        ttl = _ttl(request.query_params.get("ttl"))
        if isinstance(ttl, Reply):
            return ttl
        if request.method == "GET":
            return await self._read(request, target)
        written = await self._write(request, target, ttl)
        if isinstance(written, Reply):
            return written
        if written.reply.status < 300:
            self._audit.write(
                *(key.name, request.method, written.key, written.from_revision, written.to_revision),
                client=request.client.host if request.client else "",
                changed=written.changed,
            )
        return written.reply

    def _target(self, collection: str, path: str) -> Target | Reply:
        if collection not in self._resources:
            return error(404, f"Unsupported resource type: {collection}")
        return self._resources[collection].at(path)

    async def _read(self, request: Request, target: Target) -> Reply:
        resource = target.resource
        if target.id is not None:
            return await resource.get(target.id)
        query = parse_query(request.query_params)
        return query if isinstance(query, Reply) else await list_entries(resource, query)

    async def _write(self, request: Request, target: Target, ttl: int | None) -> Written | Reply:
        method, resource = request.method, target.resource
        if method not in ("PUT", "POST", "PATCH", "DELETE"):
            return UNKNOWN_METHOD
        if method in resource.unsupported:
            return error(405, f"not supported `{method}` method for {resource.title}")
        if method == "DELETE":
            if target.id is None:
                raise resource.missing_id()
            return await resource.delete(target.id, request.query_params.get("force") == "true")
        raw = await read_body(request)
        if isinstance(raw, Reply):
            return raw
        if not raw:
            return error(400, "missing new configuration" if method == "PATCH" else "missing configurations")
        try:
            body = parse_body(raw)
        except ValueError as problem:
            return bad_json(raw, problem)
        return await self._store(method, target, body, ttl)

    async def _store(self, method: str, target: Target, body: Any, ttl: int | None) -> Written | Reply:
        resource = target.resource
        if method == "PATCH":
            if target.id is None:
                raise resource.missing_id()
            return await resource.patch(target.id, target.path, body, ttl)
        if not isinstance(body, dict):
            return error(400, "invalid configuration: wrong type: expected object")
        if method == "PUT":
            return await resource.put(target.id, body, ttl)
        if target.id is not None:
            return error(400, f"wrong {resource.title} id, do not need it")
        return await resource.post(body, ttl)


APISIX = (
    *(Routes, Services, Upstreams, Consumers, ConsumerGroups, Ssls, GlobalRules, PluginConfigs, Protos, StreamRoutes),
    *(Secrets, PluginMetadata),
)
# What is no object of the store.
PAGES: Mapping[str, Page] = {"plugins": PluginPages(), "schema": SchemaPages(), "configs": ConfigPages()}


def build(
    store: Store, keys: tuple[AdminKey, ...], audit: AuditLog, pools: Pools, progress: Progress | None = None
) -> Starlette:
    """The whole application: APISIX's resources under `/apisix/admin`, ours under `/unilb`."""
    apisix = Api([resource(store) for resource in APISIX], keys, audit, PAGES)
    ours = [
        Vpcs(store, pools.unique_ips, pools.unique_ips6),
        Vips(store, pools.vips),
        Eips(store, pools.eips),
        Nodes(store, pools.laddrs),
    ]
    unilb = Api(ours, keys, audit)
    return Starlette(
        routes=[
            Route(PATH, OpenApi({"/apisix/admin": APISIX, "/unilb": (Vpcs, Vips, Eips, Nodes)})),
            Route("/unilb/status", Status(store, keys, audit, progress or Progress(store))),
            Route("/apisix/admin", Hello()),
            Route("/apisix/admin/{rest:path}", apisix),
            Route("/unilb/{rest:path}", unilb),
        ],
        exception_handlers={404: _not_found},
    )


class Hello:
    """`HEAD /apisix/admin`: is anybody there? Needs no key."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(200, {}) if scope["method"] == "HEAD" else UNKNOWN_METHOD
        await reply.to_response()(scope, receive, send)


async def _not_found(request: Request, _: Exception) -> Any:
    return error(404, "404 Not Found").to_response()


def _ttl(text: str | None) -> int | Reply | None:
    """Whole seconds, rounded up."""
    if text is None:
        return None
    if not _NUMBER.match(text):
        return error(400, "invalid argument ttl: should be a number")
    seconds = math.ceil(float(text))
    if not 1 <= seconds <= MAX_TTL:
        return error(400, f"invalid argument ttl: should be 1 to {MAX_TTL}")
    return seconds
