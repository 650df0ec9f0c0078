"""`/unilb/vips`."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from control.admin.references import Related, decode, find_users, guard_of, in_use, join, refer, take_guard, text_at
from control.admin.resource import Doc, Resource
from control.allocate.claims import AddressTaken, NoPool, plan_claim, read_claims
from control.allocate.pool import Pool
from control.model.addresses import bad_field
from control.model.errors import ModelError
from control.model.node import Node
from control.model.vip import Vip
from control.store.base import Delete, Put, Store

# Address and port of VIPs are unique: all writes to VIPs that set them share this guard.
_ALL = guard_of("vip", "*")


class Vips(Resource):
    """A VIP refers to the nodes that it sends to, which are gateways; EIPs refer to VIPs. One that names no address
    gets one from the pool, and keeps it; VIPs that name the same address share it, on other ports."""

    kind = "vip"
    collection = "vips"
    takes_turns = True

    def __init__(self, store: Store, pool: Pool | None) -> None:
        super().__init__(store)
        self._pool = pool

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        vip = Vip.from_json(doc)
        taken = await take_guard(self.store, _ALL)
        claims = await read_claims(self.store, self.collection)
        chosen = (vip.address,) if vip.address else ()
        with claimed("address"):
            plan = plan_claim(claims, f"vip/{id}", chosen, 1, self._pool, int(time.time()), shared=True)
        (address,) = plan.addresses
        entries, _ = await self.store.range(self.prefix)
        for entry in entries:
            other = _read(decode(entry), entry.key.removeprefix(self.prefix))
            if other is None or other.id == id:
                continue
            if (other.address, other.port, other.protocol) == (address, vip.port, vip.protocol):
                raise bad_field("address", f"{address}:{vip.port} belongs to vip [{other.id}]")
        ids = sorted({target.node for target in vip.targets if target.node})
        if len(ids) > MAX_GATEWAYS:
            raise bad_field("targets", f"expected at most {MAX_GATEWAYS} gateways, got {len(ids)}")
        referred = await asyncio.gather(*(refer(self.store, "node", node, "targets.node") for node in ids))
        for node, (entry, _) in zip(ids, referred, strict=True):
            if Node.from_json(decode(entry), node).role != "gateway":
                raise bad_field("targets", f"node [{node}] is not a gateway")
        claim = Related(plan.compares, plan.ops)
        own = Related(ops=(Put(_ALL, b""),))
        return {**doc, "address": address}, join([taken, claim, own, *(related for _, related in referred)])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("vip", id)
        taken = await take_guard(self.store, guard)
        user = await find_users(self.store, ["eip"], id, lambda _, doc: text_at(doc, "vip") == id)
        if user is not None and not force:
            raise in_use("vip", user)
        claims = await read_claims(self.store, self.collection)
        plan = plan_claim(claims, f"vip/{id}", (), 0, self._pool, int(time.time()))
        return join([taken, Related(plan.compares, plan.ops), Related(ops=(Delete(guard),))])


@contextmanager
def claimed(field: str) -> Iterator[None]:
    """What can not be claimed is a fault of `field`; without a pool it is required."""
    try:
        yield
    except AddressTaken as taken:
        raise bad_field(field, str(taken)) from None
    except NoPool:
        raise ModelError(f'invalid configuration: property "{field}" is required') from None


# One compare each, and a transaction holds 128.
MAX_GATEWAYS = 100


def _read(doc: Doc | None, id: str) -> Vip | None:
    try:
        return Vip.from_json(doc, id)
    except ModelError:
        return None
