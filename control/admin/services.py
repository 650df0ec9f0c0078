"""`/apisix/admin/services`, and the GraphQL cost decorations below each of them."""

from control.admin.graphql_cost_decorations import Decorations, without_decorations
from control.admin.plugin_peers import relate_plugins
from control.admin.references import Related, find_users, guard_of, in_use, join, take_guard, text_at
from control.admin.resource import Doc, Resource, Target
from control.admin.routes import forbid_times_inside, relate_ids
from control.admin.upstreams import relate_inline, split_inline
from control.model.service import Service
from control.store.base import Delete


class Services(Resource):
    """A service refers to an upstream; routes and stream routes refer to it. It takes its decorations with it."""

    kind = "service"
    collection = "services"

    def at(self, path: str) -> Target:
        id, _, rest = path.partition("/")
        section, _, rest = rest.partition("/")
        return Decorations(self, id).at(rest) if section == Decorations.collection else super().at(path)

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        doc, vpc_id = split_inline(doc)
        forbid_times_inside(doc)
        Service.from_json(doc)
        referred = await relate_ids(self.store, doc, old, ("upstream",))
        doc, related = await relate_inline(self.store, doc, vpc_id)
        # A predecessor whose ttl ran out may have left some.
        fresh = await without_decorations(self.store, id) if old is None else Related()
        return doc, join([referred, related, await relate_plugins(self.store, doc), fresh])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("service", id)
        taken = await take_guard(self.store, guard)
        if not force:
            user = await find_users(self.store, _USERS, id, lambda _, doc: text_at(doc, "service_id") == id)
            if user is not None:
                raise in_use("service directly", user)
        return join([taken, await without_decorations(self.store, id), Related(ops=(Delete(guard),))])


_USERS = ("route", "stream_route")
