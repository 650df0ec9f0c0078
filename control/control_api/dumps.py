"""What is configured: routes, services, upstreams and plugin metadata, with the defaults that are in force."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from control.admin.references import decode
from control.admin.reply import Reply, error
from control.model.defaults import as_served
from control.model.keys import PREFIXES, key_of, kind_of
from control.model.plugins import PLUGINS
from control.store.base import Entry, Store

_Handler = Callable[[Request], Awaitable[Response]]


class Dumps:
    """Read from the store on every request."""

    KINDS: ClassVar[tuple[str, ...]] = ("route", "service", "upstream", "stream_route")

    def __init__(self, store: Store) -> None:
        self._store = store

    def lists(self, kind: str) -> _Handler:
        """The handler of all objects of a kind."""

        async def handler(request: Request) -> Response:
            entries, _ = await self._store.range(PREFIXES[kind])
            return Reply(200, [item for entry in entries if (item := _item(kind, entry))]).to_response()

        return handler

    def shows(self, kind: str) -> _Handler:
        """The handler of one object of a kind."""

        async def handler(request: Request) -> Response:
            id = request.path_params["id"]
            entry = await self._store.get(key_of(kind, id))
            item = _item(kind, entry) if entry else None
            reply = error(404, f"{kind}[{id}] not found") if item is None else Reply(200, item)
            return reply.to_response()

        return handler

    async def all_metadata(self, request: Request) -> Response:
        """The metadata of all plugins that have some."""
        entries, _ = await self._store.range(PREFIXES["plugin_metadata"])
        found = (decode(entry) for entry in entries)
        docs = [doc for doc in found if doc is not None]
        return Reply(200, sorted(docs, key=_rank)).to_response()

    async def metadata(self, request: Request) -> Response:
        """The metadata of one plugin."""
        id = request.path_params["id"]
        entry = await self._store.get(key_of("plugin_metadata", id))
        doc = decode(entry) if entry else None
        reply = error(404, f"plugin metadata[{id}] not found") if doc is None else Reply(200, doc)
        return reply.to_response()


def _item(kind: str, entry: Entry) -> dict[str, Any] | None:
    doc = decode(entry)
    if doc is None or (kind_of(entry.key) or ("",))[0] != kind:
        return None
    value = as_served(kind, doc)
    return {
        "key": entry.key,
        "value": value,
        "createdIndex": entry.create_revision,
        "modifiedIndex": entry.mod_revision,
        "orig_modifiedIndex": entry.mod_revision,
        "has_domain": _has_domain(value if kind == "upstream" else value.get("upstream", {})),
        "clean_handlers": {},
    }


def _rank(metadata: Mapping[str, Any]) -> int:
    """Plugins that run first come first."""
    plugin = PLUGINS.get(str(metadata.get("id")))
    return -plugin.priority if plugin else 0


def _has_domain(upstream: Mapping[str, Any]) -> bool:
    for node in upstream.get("nodes", ()):
        try:
            ipaddress.ip_address(str(node.get("host", "")).strip("[]"))
        except ValueError:
            return True
    return False
