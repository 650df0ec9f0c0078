"""`/apisix/admin/secrets/{vault|aws|gcp}`."""

from control.admin.references import Related
from control.admin.resource import Doc, Resource, Target
from control.model.errors import ModelError
from control.model.secret import check_secret
from control.store.base import Store


class Secrets(Resource):
    """The secrets of all managers, for lists; those of one manager are written through ManagedSecrets."""

    kind = "secret"
    collection = "secrets"
    unsupported = frozenset({"POST"})

    def at(self, path: str) -> Target:
        manager, _, path = path.partition("/")
        return ManagedSecrets(self.store, manager).at(path) if manager else Target(self, None, "")

    def identify(self, id: str | None, body: Doc) -> str:
        raise ModelError("missing secret type")

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        raise ModelError("missing secret type")

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()


class ManagedSecrets(Secrets):
    """The secrets of one manager. Their ids carry its name: "vault/1"."""

    def __init__(self, store: Store, manager: str) -> None:
        super().__init__(store)
        self.prefix = f"{self.prefix}{manager}/"
        self._manager = manager

    def at(self, path: str) -> Target:
        return Resource.at(self, path)

    def missing_id(self) -> ModelError:
        return ModelError("no secret id")

    def identify(self, id: str | None, body: Doc) -> str:
        if id is None:
            raise self.missing_id()
        full = f"{self._manager}/{id}"
        if "id" in body and body["id"] not in (id, full):
            raise ModelError("wrong secret id")
        body["id"] = full
        return id

    def own_id(self, id: str, doc: Doc, old: Doc) -> str:
        self.identify(id, doc)
        return str(doc["id"])

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        check_secret(doc, self._manager)
        return doc, Related()
