"""`/apisix/admin/consumer_groups`."""

from control.admin.plugin_peers import relate_plugins
from control.admin.references import Related, find_users, guard_of, in_use, join, take_guard, text_at
from control.admin.resource import Doc, Resource
from control.model.consumer_group import check_consumer_group
from control.store.base import Delete


class ConsumerGroups(Resource):
    """Consumers refer to a group."""

    kind = "consumer_group"
    collection = "consumer_groups"
    unsupported = frozenset({"POST"})

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        check_consumer_group(doc)
        return doc, await relate_plugins(self.store, doc)

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("consumer_group", id)
        taken = await take_guard(self.store, guard)
        if not force:
            user = await find_users(self.store, ["consumer"], id, lambda _, doc: text_at(doc, "group_id") == id)
            if user is not None:
                raise in_use("consumer group", user)
        return join([taken, Related(ops=(Delete(guard),))])
