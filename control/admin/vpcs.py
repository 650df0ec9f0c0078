"""`/unilb/vpcs`: a VPC, its VNI and the unique IPs of its endpoints change together."""

import time
from ipaddress import ip_address

from control.admin.references import Related, find_users, guard_of, in_use, join, take_guard
from control.admin.resource import Doc, Resource
from control.allocate.owned import read_owned
from control.allocate.plan import Plan, needs_allocation, plan_vpc
from control.allocate.pool import Pool
from control.allocate.translate import vpc_endpoints_of
from control.model.addresses import bad_field
from control.model.errors import ModelError
from control.model.vpc import Vpc
from control.store.base import Delete, Store


class Vpcs(Resource):
    """Upstreams, and those inside routes, services and stream routes, refer to the endpoints of a VPC."""

    kind = "vpc"
    collection = "vpcs"
    takes_turns = True

    def __init__(self, store: Store, pool: Pool, pool6: Pool) -> None:
        super().__init__(store)
        self._pool, self._pool6 = pool, pool6

    def _pool_of(self, vpc: Vpc) -> Pool:
        return self._pool6 if ":" in vpc.cidr else self._pool

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        new = Vpc.from_json(doc)
        before = _read(old, id)
        parts = []
        removed = set(before.endpoints) - set(new.endpoints) if before else set()
        if removed:
            parts.append(await take_guard(self.store, guard_of("vpc", id)))
            user = await self._user(id, removed)
            if user is not None:
                ip, (kind, user_id) = user
                raise bad_field("endpoints", f"{ip} can not be removed, {kind} [{user_id}] is still using it now")
        if needs_allocation(before, new):
            plan = plan_vpc(before, new, await read_owned(self.store), int(time.time()), self._pool_of(new))
        else:
            assert before is not None
            plan = Plan({ip: endpoint.unique_ip for ip, endpoint in before.endpoints.items()})
        parts.append(Related(plan.compares, plan.ops))
        return _with_unique_ips(doc, new, plan), join(parts)

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        """`force` does not count here: an address given back while somebody sends to it would be another tenant's."""
        guard = guard_of("vpc", id)
        taken = await take_guard(self.store, guard)
        before = _read(old, id)
        user = await self._user(id, None)
        if user is not None:
            raise in_use("vpc", user[1])
        plan = Plan({})
        if before:
            plan = plan_vpc(before, None, await read_owned(self.store), int(time.time()), self._pool_of(before))
        return join([taken, Related(plan.compares, plan.ops), Related(ops=(Delete(guard),))])

    async def _user(self, id: str, ips: set[str] | None) -> tuple[str, tuple[str, str]] | None:
        """(VPC address, (kind, id)) of the first user of one of `ips`, or of any address of the VPC."""
        found: list[str] = []

        def is_user(kind: str, doc: Doc) -> bool:
            upstream = doc if kind == "upstream" else doc.get("upstream", {})
            used = [ip for vpc_id, ip in vpc_endpoints_of(upstream) if vpc_id == id and (ips is None or ip in ips)]
            found.extend(used)
            return bool(used)

        user = await find_users(self.store, ["upstream", "route", "service", "stream_route"], id, is_user)
        return (found[0], user) if user else None


def _read(doc: Doc | None, id: str) -> Vpc | None:
    try:
        return Vpc.from_json(doc, id) if doc else None
    except ModelError:
        # Somebody else's writing; its ownership records, if any, are found by the VPC's id.
        return None


def _with_unique_ips(doc: Doc, vpc: Vpc, plan: Plan) -> Doc:
    """The VPC as it is stored. Raises ModelError when the client asks for a unique IP that is not the endpoint's."""
    if "endpoints" not in doc:
        return doc
    endpoints = {}
    for text, endpoint in doc["endpoints"].items():
        ip = str(ip_address(text))  # IPv6 has several spellings
        unique_ip = plan.unique_ips[ip]
        if vpc.endpoints[ip].unique_ip not in ("", unique_ip):
            raise bad_field(f"endpoints.{ip}.unique_ip", f"it is allocated, not chosen, and would be {unique_ip}")
        endpoints[ip] = {**endpoint, "unique_ip": unique_ip}
    return {**doc, "endpoints": endpoints}
