"""`/apisix/admin/upstreams`, and what upstreams inside routes share with them."""

import asyncio

from control.admin.plugin_references import references_of
from control.admin.references import Related, decode, find_users, guard_of, in_use, join, refer, take_guard, text_at
from control.admin.resource import Doc, Resource
from control.allocate.translate import split_vpc_id, translate_upstream, vpc_ids_of
from control.model.errors import ModelError
from control.model.pem import check_client_tls
from control.model.upstream import Upstream
from control.model.vpc import Vpc
from control.store.base import Delete, Store


class Upstreams(Resource):
    """An upstream refers to the VPCs of its endpoints; routes refer to it."""

    kind = "upstream"
    collection = "upstreams"

    async def relate(self, id: str, doc: Doc, old: Doc | None) -> tuple[Doc, Related]:
        doc, vpc_id = split_vpc_id(doc)
        Upstream.from_json(doc)
        return await relate_upstream(self.store, doc, vpc_id)

    async def release(self, id: str, old: Doc, force: bool) -> Related:
        guard = guard_of("upstream", id)
        taken = await take_guard(self.store, guard)
        if not force:
            await self._check_users(id)
        return join([taken, Related(ops=(Delete(guard),))])

    async def _check_users(self, id: str) -> None:
        user = await find_users(self.store, _USERS, id, lambda _, doc: text_at(doc, "upstream_id") == id)
        if user is not None:
            raise in_use("upstream", user)
        user = await find_users(self.store, _PLUGIN_USERS, id, lambda _, doc: ("upstream", id) in references_of(doc))
        if user is not None:
            # In the plural, alone of them all, as in APISIX.
            kind = "global_rules" if user[0] == "global_rule" else user[0]
            raise in_use("upstream", (f"plugin in {kind}", user[1]))


def split_inline(doc: Doc) -> tuple[Doc, str | None]:
    """A route or service without the `vpc_id` of its own upstream, and that id. Raises ModelError."""
    if not isinstance(doc.get("upstream"), dict):
        return doc, None
    upstream, vpc_id = split_vpc_id(doc["upstream"])
    return {**doc, "upstream": upstream}, vpc_id


async def relate_upstream(store: Store, doc: Doc, vpc_id: str | None) -> tuple[Doc, Related]:
    """The upstream as it is stored, and its references to VPCs and certificates. `doc` is valid. Raises ModelError."""
    check_client_tls(doc)
    parts = []
    certificate = text_at(doc.get("tls"), "client_cert_id")
    if certificate is not None:
        entry, related = await refer(store, "ssl", certificate, "ssl id")
        if (decode(entry) or {}).get("type") != "client":
            raise ModelError(f"failed to fetch ssl info by ssl id [{certificate}], wrong ssl type")
        parts.append(related)
    ids = sorted(vpc_ids_of(doc, vpc_id))
    if len(ids) > MAX_VPCS:
        raise ModelError(f"invalid configuration: an upstream has endpoints in at most {MAX_VPCS} VPCs, got {len(ids)}")
    referred = await asyncio.gather(*(refer(store, "vpc", id, "vpc id") for id in ids))
    vpcs = {id: Vpc.from_json(decode(entry), id) for id, (entry, _) in zip(ids, referred, strict=True)}
    return translate_upstream(doc, vpc_id, vpcs), join([*parts, *(related for _, related in referred)])


async def relate_inline(store: Store, doc: Doc, vpc_id: str | None) -> tuple[Doc, Related]:
    """The same for the upstream inside a route or service, if it has one."""
    if "upstream" not in doc:
        return doc, Related()
    upstream, related = await relate_upstream(store, doc["upstream"], vpc_id)
    return {**doc, "upstream": upstream}, related


MAX_VPCS = 32
_USERS = ("route", "service", "stream_route")
_PLUGIN_USERS = ("route", "service", "plugin_config", "consumer", "consumer_group", "global_rule")
