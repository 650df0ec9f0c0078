"""`/apisix/admin/plugin_metadata`."""

from control.admin.references import Related
from control.admin.resource import Doc, Resource
from control.model.errors import ModelError
from control.model.plugin_metadata import check_plugin_metadata


class PluginMetadata(Resource):
    """The id is the plugin's name. No times are stored with it."""

    kind = "plugin_metadata"
    collection = "plugin_metadata"
    unsupported = frozenset({"POST", "PATCH"})

    @property
    def title(self) -> str:
        return "plugin_metadata"

    def missing_id(self) -> ModelError:
        return ModelError("missing plugin name")

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        doc = {field: value for field, value in doc.items() if field not in ("create_time", "update_time")}
        check_plugin_metadata(id, doc)
        return doc, Related()

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()
