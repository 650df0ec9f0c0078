"""Veiled: a store of objects in the clear, read as if it were stored encrypted. Nobody has the key."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from control.admin.reply import dump
from control.model.encryption import Keyring, document_with_secrets
from control.store.base import Changes, Compare, Delete, Entry, Put, Store, TxnResult


class Veiled(Store):
    """Around a store that is only read. `watch` hands out what is stored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keyring = Keyring([secrets.token_hex(16)])

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        entries, revision = await self._store.range(prefix)
        return [self._veiled(entry) for entry in entries], revision

    async def get(self, key: str) -> Entry | None:
        entry = await self._store.get(key)
        return None if entry is None else self._veiled(entry)

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        return await self._store.txn(compares, ops)

    def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        return self._store.watch(prefixes, from_revision)

    async def close(self) -> None:
        await self._store.close()

    def _veiled(self, entry: Entry) -> Entry:
        doc = document_with_secrets(entry.key, entry.value)
        return entry if doc is None else replace(entry, value=dump(self._keyring.seal(entry.key, doc)))
