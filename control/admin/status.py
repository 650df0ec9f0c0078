"""`GET /unilb/status`: is the control plane able to read its store, and how far is each node."""

import time

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from control.admin.audit import AuditLog
from control.admin.auth import AdminKey, authenticate
from control.admin.progress import Progress, nodes
from control.admin.reply import UNKNOWN_METHOD, Reply
from control.store.base import Store, StoreError


class Status:
    """200 with the store's revision and the nodes, 503 when the store does not answer."""

    def __init__(self, store: Store, keys: tuple[AdminKey, ...], audit: AuditLog, progress: Progress) -> None:
        self._store = store
        self._keys = keys
        self._audit = audit
        self._progress = progress
        self._started = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._answer(Request(scope, receive))
        await reply.to_response()(scope, receive, send)

    async def _answer(self, request: Request) -> Reply:
        key = authenticate(request, self._keys)
        if isinstance(key, Reply):
            return key
        if request.method != "GET":
            return UNKNOWN_METHOD
        status = {"uptime": round(time.monotonic() - self._started, 3), "audit_dropped": self._audit.dropped}
        try:
            found, revision = await nodes(self._store, self._progress)
        except StoreError as problem:
            return Reply(503, {"store": "unavailable", "error_msg": str(problem), **status})
        return Reply(200, {"store": "ok", "revision": revision, **status, "nodes": found})
