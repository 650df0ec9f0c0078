"""`/apisix/admin/plugin_configs`."""

from control.admin.plugin_peers import relate_plugins
from control.admin.references import Related, find_users, guard_of, in_use, join, take_guard, text_at
from control.admin.resource import Doc, Resource
from control.model.plugin_config import PluginConfig
from control.store.base import Delete


class PluginConfigs(Resource):
    """Routes refer to a plugin config."""

    kind = "plugin_config"
    collection = "plugin_configs"
    unsupported = frozenset({"POST"})

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        PluginConfig.from_json(doc)
        return doc, await relate_plugins(self.store, doc)

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("plugin_config", id)
        taken = await take_guard(self.store, guard)
        if not force:
            user = await find_users(self.store, ["route"], id, lambda _, doc: text_at(doc, "plugin_config_id") == id)
            if user is not None:
                raise in_use("plugin config", user)
        return join([taken, Related(ops=(Delete(guard),))])
