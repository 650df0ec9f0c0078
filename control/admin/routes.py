"""`/apisix/admin/routes`."""

from control.admin.plugin_peers import relate_plugins
from control.admin.references import Related, join, refer, text_at
from control.admin.resource import Doc, Resource
from control.admin.upstreams import relate_inline, split_inline
from control.model.errors import ModelError
from control.model.route import Route
from control.store.base import Store


class Routes(Resource):
    """A route refers to an upstream, a service, a plugin config, and through an upstream of its own to VPCs."""

    kind = "route"
    collection = "routes"

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        doc, vpc_id = split_inline(doc)
        forbid_times_inside(doc)
        Route.from_json(doc)
        referred = await relate_ids(self.store, doc, old, ("upstream", "service", "plugin_config"))
        doc, related = await relate_inline(self.store, doc, vpc_id)
        return doc, join([referred, related, await relate_plugins(self.store, doc)])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()


async def relate_ids(store: Store, doc: Doc, old: Doc | None, kinds: tuple[str, ...]) -> Related:
    """The references of the fields `KIND_id`, where they changed. Raises ModelError when an object is not there."""
    parts = []
    for kind in kinds:
        field = f"{kind}_id"
        id = text_at(doc, field)
        if id is not None and text_at(old, field) != id:
            _, related = await refer(store, kind, id, field.replace("_", " "))
            parts.append(related)
    return join(parts)


def forbid_times_inside(doc: Doc) -> None:
    """Raise ModelError when an upstream inside, or `plugins`, carries times: those of the object are all there are."""
    for section in ("upstream", "plugins"):
        for name in ("create_time", "update_time"):
            if isinstance(doc.get(section), dict) and name in doc[section]:
                raise ModelError(f"the property is forbidden:  {section}.{name}")
