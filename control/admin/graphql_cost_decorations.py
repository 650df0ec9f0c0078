"""`/apisix/admin/services/{id}/graphql_cost_decorations`."""

from typing import Any

from control.admin.references import NoParent, Related, decode, guard_of, join, take_guard, text_at
from control.admin.resource import Doc, Resource, Target, Written
from control.model.errors import ModelError
from control.model.graphql_cost_decoration import check_decoration
from control.model.keys import decorations_of, key_of
from control.store.base import Compare, Delete, Put, Store

# They all go in the one transaction that their service goes in.
MAX_DECORATIONS = 1000


class Decorations(Resource):
    """The GraphQL cost decorations of one service: no two of one field path."""

    kind = "graphql_cost_decoration"
    collection = "graphql_cost_decorations"
    takes_turns = True
    empty_is_missing = True

    def __init__(self, services: Resource, service_id: str) -> None:
        super().__init__(services.store, decorations_of(service_id))
        self._service_id = service_id
        # An object of this class answers one request. Services take turns under their ids, these under none.
        self._turns = services._turns

    def at(self, path: str) -> Target:
        if not self._service_id:
            raise ModelError("missing service id")
        return super().at(path)

    async def patch(self, id: str, path: str, body: Any, ttl: int | None = None) -> Written:
        if not path and isinstance(body, dict) and "service_id" in body:
            raise ModelError("service_id can not be patched")
        return await super().patch(id, path, body, ttl)

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        if "service_id" in doc and text_at(doc, "service_id") != self._service_id:
            raise ModelError("wrong service_id, it is taken from the path")
        service = await self.store.get(key_of("service", self._service_id))
        if service is None:
            raise NoParent("service not found")
        alone = await self._claim(id, doc.get("field_path"), old is None)
        doc = {**doc, "service_id": self._service_id}
        check_decoration(doc)
        return doc, join([Related((Compare(service.key, service.mod_revision),)), alone])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()

    async def _claim(self, id: str, field_path: Any, is_new: bool) -> Related:
        """Make `field_path` this decoration's alone. Costs a listing of the service's decorations."""
        guard = guard_of(self.kind, self._service_id)
        taken = await take_guard(self.store, guard)
        entries, _ = await self.store.range(self.prefix)
        for entry in entries:
            is_twin = isinstance(field_path, str) and (decode(entry) or {}).get("field_path") == field_path
            if is_twin and entry.key != self.prefix + id:
                other = entry.key.removeprefix(self.prefix)
                raise ModelError(f"field_path {field_path} is already decorated on this service by [{other}]")
        if is_new and len(entries) >= MAX_DECORATIONS:
            raise ModelError(f"the service has {MAX_DECORATIONS} graphql cost decorations, more are not taken")
        return join([taken, Related(ops=(Put(guard, b""),))])


async def without_decorations(store: Store, service_id: str) -> Related:
    """What takes all decorations of a service away, and keeps new ones from being added meanwhile."""
    guard = guard_of(Decorations.kind, service_id)
    taken = await take_guard(store, guard)
    entries, _ = await store.range(decorations_of(service_id))
    return join([taken, Related(ops=(Delete(guard), *(Delete(entry.key) for entry in entries)))])
