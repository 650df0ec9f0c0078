"""EtcdStore: the Store over an etcd v3 cluster, through its JSON gateway."""

import base64
import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from control.store.base import (
    Changes,
    Compare,
    Delete,
    Entry,
    Put,
    StoreError,
    StoreUnavailable,
    TxnResult,
    check_txn,
    prefix_end,
)
from control.store.etcd_gateway import EtcdRefused, EtcdSettings, Gateway, encode, revision_of
from control.store.etcd_watch import Anchor, EtcdWatch

DEFAULT_PORT = 2379
# Keys per read of a long list: a page takes a few milliseconds of the loop to decode.
PAGE = 2000
RANGE_ATTEMPTS = 3
# etcd's --max-txn-ops default is 128 per level, and a nested transaction has what the outer one leaves: 64 * 64 fit.
_FLAT_OPS = 120
_NESTED_OPS = 64


class EtcdStore:
    """See Store. Every wait is bounded by REQUEST_TIMEOUT per endpoint (etcd_gateway.py)."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._gateway = Gateway(settings)
        self._cluster_id: str | None = None
        self._anchors: dict[tuple[str, ...], Anchor] = {}

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        for _ in range(RANGE_ATTEMPTS):
            try:
                return await self._range(prefix)
            except EtcdRefused as error:
                # Its revision was compacted away between two pages.
                if not error.is_compacted:
                    raise
        raise StoreUnavailable(f"{prefix}: compacted faster than it can be listed")

    async def get(self, key: str) -> Entry | None:
        answer = await self._gateway.call("/v3/kv/range", {"key": encode(key)})
        entries = [_entry(kv) for kv in answer.get("kvs", ())]
        return entries[0] if entries else None

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        check_txn(compares, ops)
        ttls = {op.ttl for op in ops if isinstance(op, Put) and op.ttl is not None}
        leases = {ttl: await self._grant(ttl) for ttl in ttls}
        success = _nested([_op(op, leases) for op in ops])
        body = {"compare": [_compare(compare) for compare in compares], "success": success}
        answer = await self._gateway.call("/v3/kv/txn", body, is_repeatable=not ops)
        succeeded = bool(answer.get("succeeded"))
        if not succeeded:
            await self._revoke(leases.values())
        return TxnResult(succeeded, revision_of(answer))

    async def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        anchor = self._anchors.setdefault(tuple(prefixes), Anchor())
        watch = EtcdWatch(self._gateway, prefixes, from_revision, self._cluster_id, anchor)
        async with aclosing(watch.run()) as batches:
            async for batch in batches:
                yield batch

    async def _grant(self, ttl: int) -> str:
        """A lease that nobody keeps alive: what is put under it goes when it ends. Its least TTL is etcd's own, 2 s."""
        answer = await self._gateway.call("/v3/lease/grant", {"TTL": str(ttl)})
        return str(answer["ID"])

    async def _revoke(self, leases: Iterable[str]) -> None:
        """Give leases back that nothing was put under; one that stays ends by itself."""
        for lease in leases:
            with contextlib.suppress(StoreError):
                await self._gateway.call("/v3/lease/revoke", {"ID": lease})

    async def _range(self, prefix: str) -> tuple[list[Entry], int]:
        entries: list[Entry] = []
        revision = 0
        start, end = prefix, encode(prefix_end(prefix))
        while True:
            body = {"key": encode(start), "range_end": end, "limit": str(PAGE)}
            if revision:
                body["revision"] = str(revision)
            answer = await self._gateway.call("/v3/kv/range", body)
            if not revision:
                revision = revision_of(answer)
                self._cluster_id = str(answer["header"].get("cluster_id"))
            page = [_entry(kv) for kv in answer.get("kvs", ())]
            entries += page
            if not answer.get("more") or not page:
                return entries, revision
            start = page[-1].key + "\0"

    async def close(self) -> None:
        await self._gateway.close()


def _entry(kv: dict[str, Any]) -> Entry:
    return Entry(
        key=base64.b64decode(kv["key"]).decode(),
        value=base64.b64decode(kv.get("value", "")),
        create_revision=int(kv["create_revision"]),
        mod_revision=int(kv["mod_revision"]),
    )


def _compare(compare: Compare) -> dict[str, Any]:
    if compare.mod_revision == 0:
        # A missing key has create_revision 0; etcd also gives it mod_revision 0, but this is the documented test.
        return {"key": encode(compare.key), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}
    return {
        "key": encode(compare.key),
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": str(compare.mod_revision),
    }


def _op(op: Put | Delete, leases: Mapping[int, str]) -> dict[str, Any]:
    if isinstance(op, Put):
        lease = {"lease": leases[op.ttl]} if op.ttl is not None else {}
        return {"request_put": {"key": encode(op.key), "value": encode(op.value), **lease}}
    return {"request_delete_range": {"key": encode(op.key)}}


def _nested(ops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same operations, in transactions inside the transaction if they are many: still one revision."""
    if len(ops) <= _FLAT_OPS:
        return ops
    return [{"request_txn": {"success": group}} for group in _groups(ops)]


def _groups(ops: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    for first in range(0, len(ops), _NESTED_OPS):
        yield ops[first : first + _NESTED_OPS]
