"""Resource: the verbs that all resources share. One subclass per resource says what is special about it.

A write is decided on what was read, and carried out by one transaction that compares every key that was read; on a
conflict all of it is done again, at most ATTEMPTS times.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from control.admin.audit import changed_fields
from control.admin.patch import merge, replace_at
from control.admin.references import Related, decode
from control.admin.reply import CONFLICT, NOT_FOUND, Reply, dump, error
from control.admin.sealed import sealed
from control.model.errors import ModelError
from control.model.fields import text_of_id
from control.model.keys import PREFIXES, kind_of
from control.store.base import Compare, Delete, Entry, Put, Store

Doc = dict[str, Any]

ATTEMPTS = 10
# Ids that a POST makes, one after the other, as long as they are taken.
MAX_IDS = 1000
# Seconds, doubled with each attempt, drawn at random up to this: writers that collided once part.
BACKOFF = 0.005
_TIMES = ("create_time", "update_time")
GEN_ID = "/apisix/gen_id"
_DRAFT = "0"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did, for the answer and for the audit log. `from_revision` 0: there was no object."""

    reply: Reply
    key: str = ""
    from_revision: int = 0
    to_revision: int = 0
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: `id` None for the collection; `path` goes on inside the object, for PATCH."""

    resource: "Resource"
    id: str | None
    path: str


class Resource(ABC):
    """`kind` names the object in control.model.keys; `collection` is the word in the path.

    Writes of one object would only make each other start over; within one process they wait for each other instead.
    `takes_turns`: so do all writes of this kind, because they share a guard. `unsupported`: methods that others have.
    `empty_is_missing`: a list of nothing is answered with 404.
    """

    kind: ClassVar[str]
    collection: ClassVar[str]
    takes_turns: ClassVar[bool] = False
    unsupported: ClassVar[frozenset[str]] = frozenset()
    empty_is_missing: ClassVar[bool] = False

    def __init__(self, store: Store, prefix: str = "") -> None:
        self.store = store
        self.prefix = prefix or PREFIXES[self.kind]
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def title(self) -> str:
        """The kind as messages name it."""
        return self.kind.replace("_", " ")

    def at(self, path: str) -> Target:
        """What the rest of a path, behind the collection, names."""
        id, _, path = path.partition("/")
        return Target(self, id or None, path)

    def missing_id(self) -> ModelError:
        """The refusal of a write that names no object."""
        return ModelError(f"missing {self.title} id")

    def show(self, entry: Entry) -> bytes:
        """One object as GET shows it, JSON; its value is a JSON object."""
        return entry_json(entry)

    def holds(self, key: str) -> bool:
        """True when a key below `prefix` is that of an object of this kind."""
        return (kind_of(key) or ("",))[0] == self.kind

    @abstractmethod
    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        """Check `doc`; give what is stored, and what the same transaction compares and changes. Raises ModelError."""

    @abstractmethod
    async def release(self, id: str, old: Doc, force: bool) -> Related:
        """What deleting `old` needs. Raises ModelError when something still uses it."""

    async def get(self, id: str) -> Reply:
        """One object."""
        entry = await self.store.get(self.prefix + id)
        if entry is None:
            return NOT_FOUND
        if decode(entry) is None:
            return error(500, f"{entry.key}: what is stored is no JSON object")
        return Reply(200, self.show(entry))

    async def put(self, id: str | None, body: Doc, ttl: int | None = None) -> Written:
        """Create or replace, for `ttl` seconds if one is given. Raises ModelError."""
        id = self.identify(id, body)

        async def attempt() -> Written | None:
            entry = await self.store.get(self.prefix + id)
            old = decode(entry) if entry else None
            self._check_times(body, old)
            now = int(time.time())
            times = {"create_time": (old or {}).get("create_time", now), "update_time": now}
            return await self._write(id, entry, old, {**body, **times}, 200 if entry else 201, ttl)

        return await self._until_done(id, attempt)

    async def post(self, body: Doc, ttl: int | None = None) -> Written:
        """Create under an id of our making: a revision of the store, so that ids grow.

        Revisions start anew in a store that a backup was restored into: an id that is taken is passed over.
        """
        if "id" in body:
            raise ModelError(f"wrong {self.title} id, do not need it")
        self._check_times(body, None)
        # Judged once before an id is made for it: a body that is refused leaves no trace in the store.
        await self.relate(_DRAFT, {**body, "id": _DRAFT}, None)
        for _ in range(MAX_IDS):
            made = await self.store.txn([], [Put(GEN_ID, b"1")])
            written = await self._create(f"{made.revision:020}", dict(body), ttl)
            if written is not None:
                return written
        return Written(CONFLICT)

    async def _create(self, id: str, body: Doc, ttl: int | None) -> Written | None:
        """None when there is one with this id. Raises ModelError."""
        id = self.identify(id, body)
        taken = Written(CONFLICT)

        async def attempt() -> Written | None:
            if await self.store.get(self.prefix + id) is not None:
                return taken
            now = int(time.time())
            return await self._write(id, None, None, {**body, "create_time": now, "update_time": now}, 201, ttl)

        written = await self._until_done(id, attempt)
        return None if written is taken else written

    async def patch(self, id: str, path: str, body: Any, ttl: int | None = None) -> Written:
        """Merge `body` into the object, or put it at `path` inside it. Raises ModelError."""
        if not path and not isinstance(body, dict):
            raise ModelError("invalid configuration")

        async def attempt() -> Written | None:
            entry = await self.store.get(self.prefix + id)
            old = decode(entry) if entry else None
            if entry is None or old is None:
                return Written(NOT_FOUND)
            doc = replace_at(old, path, body) if path else merge(old, body)
            if not isinstance(doc, dict):
                raise ModelError("invalid configuration: wrong type: expected object")
            doc = {**doc, "id": self.own_id(id, doc, old)}
            if doc.get("update_time") == old.get("update_time"):
                doc["update_time"] = int(time.time())
            return await self._write(id, entry, old, doc, 200, ttl)

        return await self._until_done(id, attempt)

    async def delete(self, id: str, force: bool) -> Written:
        """Remove. Raises ModelError when something still uses it."""
        key = self.prefix + id

        async def attempt() -> Written | None:
            entry = await self.store.get(key)
            if entry is None:
                return Written(NOT_FOUND)
            related = await self.release(id, decode(entry) or {}, force)
            result = await self.store.txn(
                [Compare(key, entry.mod_revision), *related.compares], [Delete(key), *related.ops]
            )
            if not result.succeeded:
                return None
            reply = Reply(200, {"key": key, "deleted": "1"}, result.revision)
            return Written(reply, key, entry.mod_revision, result.revision)

        return await self._until_done(id, attempt)

    async def _until_done(self, id: str, attempt: Callable[[], Awaitable[Written | None]]) -> Written:
        """Try until something other than None, a conflict, comes of it."""
        turn = self._turns.setdefault("" if self.takes_turns else id, asyncio.Lock())
        for number in range(ATTEMPTS):
            async with turn:
                written = await attempt()
            if written is not None:
                return written
            await asyncio.sleep(random.uniform(0, BACKOFF * 2**number))
        return Written(CONFLICT)

    async def _write(
        self, id: str, entry: Entry | None, old: Doc | None, doc: Doc, status: int, ttl: int | None
    ) -> Written | None:
        """Try once; None on a conflict."""
        key = self.prefix + id
        before = entry.mod_revision if entry else 0
        stored, related = await self.relate(id, doc, old)
        put = Put(key, dump(stored), ttl)
        result = await self.store.txn([Compare(key, before), *related.compares], [put, *related.ops])
        if not result.succeeded:
            return None
        reply = Reply(status, {"key": key, "value": sealed(self.store, key, stored)}, result.revision)
        return Written(reply, key, before, result.revision, changed_fields(old or {}, stored))

    def identify(self, id: str | None, body: Doc) -> str:
        """The object's id, from the path or the body, put into the body. Raises ModelError."""
        if id is None:
            if "id" not in body:
                raise self.missing_id()
            # Whatever it is, the schema judges it later.
            return _text(body["id"])
        if "id" in body and _text(body["id"]) != id:
            raise ModelError(f"wrong {self.title} id")
        body["id"] = id
        return id

    def own_id(self, id: str, doc: Doc, old: Doc) -> Any:
        """The id that a patched object keeps. Raises ModelError when the patch says otherwise."""
        if "id" in doc and _text(doc["id"]) != id:
            raise ModelError(f"wrong {self.title} id")
        return old.get("id", id)

    def _check_times(self, body: Doc, old: Doc | None) -> None:
        """Times are ours to write. Sending back those of a GET is no attempt to."""
        for name in _TIMES:
            if name in body and (old is None or body[name] != old.get(name)):
                raise ModelError(f"the property is forbidden:  {name}")


def entry_json(entry: Entry, value: bytes | None = None) -> bytes:
    """One object as GET shows it, with `value`, JSON, or with what is stored."""
    return b'{"key":%s,"value":%s,"createdIndex":%d,"modifiedIndex":%d}' % (
        dump(entry.key),
        entry.value if value is None else value,
        entry.create_revision,
        entry.mod_revision,
    )


def _text(id: Any) -> str:
    return text_of_id(id) if isinstance(id, str | int | float) else dump(id).decode()
