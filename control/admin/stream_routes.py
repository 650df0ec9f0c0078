"""`/apisix/admin/stream_routes`."""

from control.admin.references import Related, decode, find_users, guard_of, join, take_guard, text_at
from control.admin.resource import Doc, Resource
from control.admin.routes import forbid_times_inside, relate_ids
from control.admin.upstreams import relate_inline, split_inline
from control.model.errors import ModelError
from control.model.keys import key_of
from control.model.stream_route import check_stream_route
from control.store.base import Compare, Delete, Put


class StreamRoutes(Resource):
    """A stream route refers to an upstream, a service, and to the stream route that its protocol is told apart in."""

    kind = "stream_route"
    collection = "stream_routes"
    unsupported = frozenset({"PATCH"})

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        doc, vpc_id = split_inline(doc)
        forbid_times_inside(doc)
        check_stream_route(doc)
        parts = [await relate_ids(self.store, doc, old, ("upstream", "service")), await self._superior(doc)]
        doc, related = await relate_inline(self.store, doc, vpc_id)
        return doc, join([*parts, related])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("stream_route", id)
        taken = await take_guard(self.store, guard)
        if not force:
            user = await find_users(self.store, [self.kind], id, lambda _, doc: _superior_of(doc) == id)
            if user is not None:
                raise ModelError(
                    f"can not delete this stream route directly, stream route [{user[1]}]"
                    " is still using it as superior_id"
                )
        return join([taken, Related(ops=(Delete(guard),))])

    async def _superior(self, doc: Doc) -> Related:
        id = _superior_of(doc)
        if id is None:
            return Related()
        entry = await self.store.get(key_of(self.kind, id))
        if entry is None:
            raise ModelError(f"failed to fetch stream routes[{id}], response code: 404")
        protocol = (decode(entry) or {}).get("protocol", {})
        if protocol.get("name") != doc["protocol"]["name"]:
            raise ModelError(
                f"protocol mismatch: subordinate protocol [{doc['protocol']['name']}] does not match"
                f" superior protocol [{protocol.get('name', 'nil')}]"
            )
        return Related((Compare(entry.key, entry.mod_revision),), (Put(guard_of(self.kind, id), b""),))


def _superior_of(doc: Doc) -> str | None:
    protocol = doc.get("protocol")
    return text_at(protocol, "superior_id") if isinstance(protocol, dict) else None
