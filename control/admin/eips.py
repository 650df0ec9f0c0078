"""`/unilb/eips`."""

import time

from control.admin.references import Related, join, refer
from control.admin.resource import Doc, Resource
from control.admin.vips import claimed
from control.allocate.claims import plan_claim, read_claims
from control.allocate.pool import Pool
from control.model.eip import Eip
from control.store.base import Store


class Eips(Resource):
    """An EIP refers to a VIP. One that names no address gets one from the pool, and keeps it."""

    kind = "eip"
    collection = "eips"
    takes_turns = True

    def __init__(self, store: Store, pool: Pool | None) -> None:
        super().__init__(store)
        self._pool = pool

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        eip = Eip.from_json(doc, id)
        _, referred = await refer(self.store, "vip", eip.vip, "vip")
        chosen = (eip.address,) if eip.address else ()
        claims = await read_claims(self.store, self.collection)
        with claimed("address"):
            plan = plan_claim(claims, f"eip/{id}", chosen, 1, self._pool, int(time.time()))
        return {**doc, "address": plan.addresses[0]}, join([referred, Related(plan.compares, plan.ops)])

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        claims = await read_claims(self.store, self.collection)
        plan = plan_claim(claims, f"eip/{id}", (), 0, self._pool, int(time.time()))
        return Related(plan.compares, plan.ops)
