"""`/unilb/vips`."""

import asyncio

from control.admin.references import Related, decode, guard_of, join, refer, take_guard
from control.admin.resource import Doc, Resource
from control.model.addresses import bad_field
from control.model.errors import ModelError
from control.model.node import Node
from control.model.vip import Vip
from control.store.base import Put

# Address and port of VIPs are unique: all writes to VIPs that set them share this guard.
_ALL = guard_of("vip", "*")


class Vips(Resource):
    """A VIP refers to the nodes that it sends to, which are gateways."""

    kind = "vip"
    collection = "vips"
    takes_turns = True

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        vip = Vip.from_json(doc)
        taken = await take_guard(self.store, _ALL)
        entries, _ = await self.store.range(self.prefix)
        for entry in entries:
            other = _read(decode(entry), entry.key.removeprefix(self.prefix))
            if other is None or other.id == id:
                continue
            if (other.address, other.port, other.protocol) == (vip.address, vip.port, vip.protocol):
                raise bad_field("address", f"{vip.address}:{vip.port} belongs to vip [{other.id}]")
        ids = sorted({target.node for target in vip.targets})
        if len(ids) > MAX_GATEWAYS:
            raise bad_field("targets", f"expected at most {MAX_GATEWAYS} gateways, got {len(ids)}")
        referred = await asyncio.gather(*(refer(self.store, "node", node, "targets.node") for node in ids))
        for node, (entry, _) in zip(ids, referred, strict=True):
            if Node.from_json(decode(entry), node).role != "gateway":
                raise bad_field("targets", f"node [{node}] is not a gateway")
        return doc, join([taken, Related(ops=(Put(_ALL, b""),)), *(related for _, related in referred)])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        return Related()


# One compare each, and a transaction holds 128.
MAX_GATEWAYS = 100


def _read(doc: Doc | None, id: str) -> Vip | None:
    try:
        return Vip.from_json(doc, id)
    except ModelError:
        return None
