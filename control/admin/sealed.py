"""SealedStore: whoever reads through it sees secrets in the clear, whoever writes through it stores them encrypted."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from control.admin.reply import dump
from control.model.encryption import Keyring, document_with_secrets
from control.store.base import Changes, Compare, Delete, Entry, Put, Store, TxnResult

Doc = dict[str, Any]


class SealedStore(Store):
    """Around another store. `watch` hands out what is stored."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        entries, revision = await self._store.range(prefix)
        return [self._open(entry) for entry in entries], revision

    async def get(self, key: str) -> Entry | None:
        entry = await self._store.get(key)
        return None if entry is None else self._open(entry)

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        return await self._store.txn(compares, [self._seal(op) if isinstance(op, Put) else op for op in ops])

    def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        return self._store.watch(prefixes, from_revision)

    async def close(self) -> None:
        await self._store.close()

    def seal(self, key: str, doc: Doc) -> Doc:
        """An object as it is stored: what the answer to a write shows."""
        return self._keyring.seal(key, doc)

    def _open(self, entry: Entry) -> Entry:
        opened = self._keyring.open_value(entry.key, entry.value)
        return entry if opened is entry.value else replace(entry, value=opened)

    def _seal(self, put: Put) -> Put:
        doc = document_with_secrets(put.key, put.value)
        return put if doc is None else replace(put, value=dump(self.seal(put.key, doc)))


def sealed(store: Store, key: str, doc: Doc) -> Doc:
    """`doc` as `store` keeps it under `key`."""
    return store.seal(key, doc) if isinstance(store, SealedStore) else doc
