"""`/apisix/admin/global_rules`."""

from control.admin.plugin_peers import relate_plugins
from control.admin.references import Related, decode, guard_of, join, take_guard
from control.admin.resource import Doc, Resource
from control.model.errors import ModelError
from control.model.global_rule import GlobalRule
from control.store.base import Put

# A plugin is in one rule only: all writes that set plugins share this guard.
_ALL = guard_of("global_rule", "*")


class GlobalRules(Resource):
    """Nothing refers to a rule."""

    kind = "global_rule"
    collection = "global_rules"
    takes_turns = True
    unsupported = frozenset({"POST"})

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        rule = GlobalRule.from_json(doc)
        taken = await take_guard(self.store, _ALL)
        entries, _ = await self.store.range(self.prefix)
        for entry in entries:
            other = decode(entry)
            other_id = entry.key.removeprefix(self.prefix)
            plugins = (other or {}).get("plugins")
            if other_id == id or not isinstance(plugins, dict):
                continue
            for name in rule.plugins:
                if name in plugins:
                    raise ModelError(f"plugin '{name}' already exists in global rule with id '{other_id}'")
        return doc, join([taken, Related(ops=(Put(_ALL, b""),)), await relate_plugins(self.store, doc)])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()
