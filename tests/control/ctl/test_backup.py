from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from control.ctl.archive import BadArchive
from control.ctl.backup import MARK, NotRestored, back_up, plan_restore, restore
from control.store.base import Compare, Delete, Put, Store, StoreUnavailable, TxnResult
from control.store.open import open_store

VALUES = {
    "/apisix/routes/1": b'{"uri":"/"}',
    "/apisix/upstreams/u": b"{}",
    "/unilb/unique_ips/100.64.0.1": b"{}",
    "/unilb/uses/vpc/blue": b"",
    "/unilb/keys/sticky": bytes(range(256)),
}


@pytest.fixture(params=["sqlite", pytest.param("etcd", marks=pytest.mark.etcd)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """URLs of fresh stores."""
    numbers = iter(range(10))

    def make() -> str:
        if request.param == "sqlite":
            return f"sqlite://{tmp_path}/store-{next(numbers)}.db"
        start: Callable[..., Any] = request.getfixturevalue("start_etcd")
        return str(start().url)

    return make


@pytest.fixture
async def stores(new_store: Callable[[], str]) -> AsyncIterator[tuple[Store, Store]]:
    """One with VALUES and a key of somebody else, and an empty one."""
    full, empty = open_store(new_store()), open_store(new_store())
    await full.txn([], [Put(key, value) for key, value in VALUES.items()])
    await full.txn([], [Put("/registry/pods/1", b"not ours")])
    yield full, empty
    await full.close()
    await empty.close()


async def everything(store: Store) -> dict[str, bytes]:
    entries, _ = await store.range("/")
    return {entry.key: entry.value for entry in entries}


async def test_a_restored_store_holds_what_was_backed_up(stores: tuple[Store, Store], tmp_path: Path) -> None:
    full, empty = stores
    file = tmp_path / "backup"
    assert await back_up(full, file) == len(VALUES)
    assert file.stat().st_mode & 0o777 == 0o600
    assert await restore(empty, file.read_bytes(), force=False) == len(VALUES)
    assert await everything(empty) == VALUES


async def test_a_store_that_holds_something_is_left_alone_unless_forced(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    full, other = stores
    await back_up(full, tmp_path / "backup")
    raw = (tmp_path / "backup").read_bytes()
    before = {"/unilb/keys/sticky": b"x", "/apisix/routes/9": b"{}"}
    await other.txn([], [Put(key, value) for key, value in before.items()])
    with pytest.raises(NotRestored, match="holds 2 keys"):
        await restore(other, raw, force=False)
    assert await everything(other) == before
    await restore(other, raw, force=True)
    assert await everything(other) == VALUES
    await restore(full, raw, force=True)
    assert await everything(full) == {**VALUES, "/registry/pods/1": b"not ours"}


async def test_a_damaged_backup_changes_nothing(stores: tuple[Store, Store], tmp_path: Path) -> None:
    full, _ = stores
    await back_up(full, tmp_path / "backup")
    before = await everything(full)
    with pytest.raises(BadArchive):
        await restore(full, (tmp_path / "backup").read_bytes()[:-5], force=True)
    assert await everything(full) == before


class Breaking:
    """A store that goes away after some transactions."""

    def __init__(self, store: Store, transactions: int) -> None:
        self._store = store
        self._left = transactions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        if self._left == 0:
            raise StoreUnavailable("gone")
        self._left -= 1
        return await self._store.txn(compares, ops)


async def test_a_restore_that_broke_off_is_seen_and_can_be_finished(
    stores: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, empty = stores
    await back_up(full, tmp_path / "one")
    await full.txn([], [Put("/apisix/routes/2", b"{}")])
    await back_up(full, tmp_path / "two")
    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    monkeypatch.setattr("control.ctl.backup.BATCH_OPS", 2)
    broken: Any = Breaking(empty, 1)
    with pytest.raises(StoreUnavailable):
        await restore(broken, one, force=False)
    assert MARK in await everything(empty)
    with pytest.raises(NotRestored, match="did not come to its end"):
        await back_up(empty, tmp_path / "three")
    with pytest.raises(NotRestored, match="half of another backup"):
        await restore(empty, two, force=False)
    await restore(empty, one, force=False)
    assert await everything(empty) == VALUES


async def test_two_restores_at_once_do_not_mix_unseen(stores: tuple[Store, Store], tmp_path: Path) -> None:
    full, empty = stores
    await back_up(full, tmp_path / "backup")

    class Overtaken(Breaking):
        async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
            await empty.txn([], [Put(MARK, b"another")])
            return await empty.txn(compares, ops)

    overtaken: Any = Overtaken(empty, 9)
    with pytest.raises(NotRestored, match="another restore has begun"):
        await restore(overtaken, (tmp_path / "backup").read_bytes(), force=False)


def test_what_is_referred_to_is_written_first_and_removed_last() -> None:
    ops = plan_restore({"/apisix/routes/old": b"", "/apisix/upstreams/old": b"", "/apisix/upstreams/u": b"{}"}, VALUES)
    assert [op.key for op in ops if isinstance(op, Put)] == [
        "/unilb/unique_ips/100.64.0.1", "/unilb/uses/vpc/blue", "/unilb/keys/sticky", "/apisix/routes/1",
    ]  # fmt: skip
    assert [op.key for op in ops if isinstance(op, Delete)] == ["/apisix/routes/old", "/apisix/upstreams/old"]
