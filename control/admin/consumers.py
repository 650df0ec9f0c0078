"""`/apisix/admin/consumers`, and the credentials below each of them."""

from control.admin.identities import claim
from control.admin.plugin_peers import relate_plugins
from control.admin.references import NoParent, Related, guard_of, join, refer, take_guard, text_at
from control.admin.resource import Doc, Resource, Target
from control.model.consumer import check_consumer
from control.model.credential import check_credential
from control.model.errors import ModelError
from control.model.keys import credentials_of, key_of
from control.store.base import Compare, Delete, Put


class Consumers(Resource):
    """A consumer is known by its username, refers to a group, and takes its credentials with it."""

    kind = "consumer"
    collection = "consumers"
    takes_turns = True
    unsupported = frozenset({"POST", "PATCH"})

    def at(self, path: str) -> Target:
        username, _, rest = path.partition("/")
        section, _, rest = rest.partition("/")
        return Credentials(self, username).at(rest) if section == "credentials" else super().at(path)

    def identify(self, id: str | None, body: Doc) -> str:
        username = body.get("username")
        if id is not None and isinstance(username, str) and username != id:
            raise ModelError("wrong username")
        # Whatever it is, the schema judges it later.
        return username if isinstance(username, str) else id or ""

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        check_consumer(doc)
        claimed = await claim(self.store, self.prefix + id, doc.get("plugins", {}))
        parts = [claimed, await relate_plugins(self.store, doc)]
        group = text_at(doc, "group_id")
        if group is not None and text_at(old, "group_id") != group:
            _, related = await refer(self.store, "consumer_group", group, "consumer group id")
            parts.append(related)
        return doc, join(parts)

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("consumer", id)
        taken = await take_guard(self.store, guard)
        credentials, _ = await self.store.range(credentials_of(id))
        gone = tuple(Delete(entry.key) for entry in credentials)
        return join([taken, Related(ops=(Delete(guard), *gone))])


class Credentials(Resource):
    """The credentials of one consumer."""

    kind = "credential"
    collection = "credentials"
    takes_turns = True
    unsupported = frozenset({"POST", "PATCH"})
    empty_is_missing = True

    def __init__(self, consumers: Consumers, username: str) -> None:
        super().__init__(consumers.store, credentials_of(username))
        self._username = username
        # They claim what consumers claim.
        self._turns = consumers._turns

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        check_credential(doc)
        owner = await self.store.get(key_of("consumer", self._username))
        if owner is None:
            raise NoParent("consumer not found")
        below = Related((Compare(owner.key, owner.mod_revision),), (Put(guard_of("consumer", self._username), b""),))
        claimed = await claim(self.store, self.prefix + id, doc.get("plugins", {}))
        return doc, join([below, claimed, await relate_plugins(self.store, doc)])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()
