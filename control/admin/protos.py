"""`/apisix/admin/protos`."""

from control.admin.plugin_references import references_of
from control.admin.references import Related, find_users, guard_of, in_use, join, take_guard
from control.admin.resource import Doc, Resource
from control.model.proto import check_proto
from control.store.base import Delete


class Protos(Resource):
    """The plugin grpc-transcode of routes and services refers to a proto."""

    kind = "proto"
    collection = "protos"
    unsupported = frozenset({"PATCH"})

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        check_proto(doc)
        return doc, Related()

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("proto", id)
        taken = await take_guard(self.store, guard)
        if not force:
            user = await find_users(self.store, _USERS, id, lambda _, doc: ("proto", id) in references_of(doc))
            if user is not None:
                raise in_use("proto", user)
        return join([taken, Related(ops=(Delete(guard),))])


_USERS = ("route", "service")
