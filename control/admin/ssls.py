"""`/apisix/admin/ssls`."""

from control.admin.references import Related, decode, guard_of, join, take_guard
from control.admin.reply import dump
from control.admin.resource import Doc, Resource, entry_json
from control.model.ssl import check_ssl, hide
from control.store.base import Delete, Entry


class Ssls(Resource):
    """Upstreams refer to a certificate of type client. Private keys are never shown."""

    kind = "ssl"
    collection = "ssls"

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        check_ssl(doc)
        return doc, Related()

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("ssl", id)
        return join([await take_guard(self.store, guard), Related(ops=(Delete(guard),))])

    def show(self, entry: Entry) -> bytes:
        return entry_json(entry, dump(hide(decode(entry) or {})))
