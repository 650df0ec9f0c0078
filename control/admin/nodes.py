"""`/unilb/nodes`."""

import time

from control.admin.references import Related, decode, find_users, guard_of, in_use, join, take_guard
from control.admin.resource import Doc, Resource
from control.admin.vips import claimed
from control.allocate.claims import plan_claim, read_claims
from control.allocate.pool import Pool
from control.model.addresses import bad_field
from control.model.errors import ModelError
from control.model.fields import text_of_id
from control.model.node import Node
from control.store.base import Delete, Put, Store

# Addresses of nodes are unique: all writes to nodes share this guard.
_ALL = guard_of("node", "*")


class Nodes(Resource):
    """VIPs refer to gateways. Local addresses are one node's only: replies to them must find their way back. A node
    that says how many it wants gets them from the pool, and keeps them."""

    kind = "node"
    collection = "nodes"
    takes_turns = True

    def __init__(self, store: Store, pool: Pool) -> None:
        super().__init__(store)
        self._pool = pool

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        node = Node.from_json(doc)
        parts = [await take_guard(self.store, _ALL), Related(ops=(Put(_ALL, b""),))]
        await self._check_addresses(id, node)
        claims = await read_claims(self.store, "laddrs")
        with claimed("laddrs"):
            plan = plan_claim(claims, f"node/{id}", node.laddrs, node.laddr_count, self._pool, int(time.time()))
        parts.append(Related(plan.compares, plan.ops))
        if plan.addresses:
            doc = {**doc, "laddrs": list(plan.addresses)}
        before = _read(old, id)
        if before is not None and before.role == "gateway" != node.role:
            parts.append(await take_guard(self.store, guard_of("node", id)))
            user = await self._user(id)
            if user is not None:
                raise bad_field("role", f"it must stay gateway, {user[0]} [{user[1]}] is still using it now")
        return doc, join(parts)

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("node", id)
        taken = await take_guard(self.store, guard)
        user = await self._user(id)
        if user is not None and not force:
            raise in_use("node", user)
        claims = await read_claims(self.store, "laddrs")
        plan = plan_claim(claims, f"node/{id}", (), 0, self._pool, int(time.time()))
        return join([taken, Related(plan.compares, plan.ops), Related(ops=(Delete(guard),))])

    async def _check_addresses(self, id: str, node: Node) -> None:
        entries, _ = await self.store.range(self.prefix)
        others = [_read(decode(entry), entry.key.removeprefix(self.prefix)) for entry in entries]
        for other in others:
            if other is None or other.id == id:
                continue
            if node.address in (other.address, *other.laddrs):
                raise bad_field("address", f"{node.address} belongs to node [{other.id}]")
            overlap = set(node.laddrs) & {other.address, *other.laddrs}
            if overlap:
                raise bad_field("laddrs", f"{min(overlap)} belongs to node [{other.id}]")

    async def _user(self, id: str) -> tuple[str, str] | None:
        def is_user(_: str, doc: Doc) -> bool:
            targets = doc.get("targets")
            return any(text_of_id(target["node"]) == id for target in targets) if isinstance(targets, list) else False

        return await find_users(self.store, ["vip"], id, is_user)


def _read(doc: Doc | None, id: str) -> Node | None:
    try:
        return Node.from_json(doc, id) if doc else None
    except ModelError:
        return None
