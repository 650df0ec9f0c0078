import asyncio
import json
from pathlib import Path

from control.model.keys import TICKET_KEYS
from control.model.tickets import TicketKeys
from control.store.base import Put, StoreUnavailable
from control.store.sqlite import SqliteStore
from control.ticket_keys import LOOK_SECONDS, ROTATE_SECONDS, keep_ticket_keys, rotate_if_due

NOON = 1_000_000


async def stored(store: SqliteStore) -> TicketKeys:
    entry = await store.get(TICKET_KEYS)
    assert entry is not None
    return TicketKeys.from_json(json.loads(entry.value))


async def test_they_are_made_once_and_rotated_when_their_time_is_over(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "db"))
    assert await rotate_if_due(store, NOON)
    first = await stored(store)
    assert not await rotate_if_due(store, NOON + ROTATE_SECONDS - 1)
    assert await stored(store) == first
    assert await rotate_if_due(store, NOON + ROTATE_SECONDS)
    second = await stored(store)
    assert second.previous == first.current != second.current
    await store.close()


async def test_of_several_at_once_one_wins(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "db"))
    for now in (NOON, NOON + ROTATE_SECONDS):
        assert sum(await asyncio.gather(*(rotate_if_due(store, now) for _ in range(5)))) == 1
    await store.close()


async def test_what_cannot_be_read_or_is_from_the_future_is_replaced(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "db"))
    for bad in (b"{", b'{"current": "x", "since": 1}'):
        await store.txn([], [Put(TICKET_KEYS, bad)])
        assert await rotate_if_due(store, NOON)
        assert (await stored(store)).since == NOON
    assert await rotate_if_due(store, NOON - 10)
    await store.close()


async def test_a_store_that_is_away_is_asked_again(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "db"))
    get, slept = store.get, []

    async def away(key: str) -> None:
        store.get = get  # type: ignore[method-assign]
        raise StoreUnavailable

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    store.get = away  # type: ignore[method-assign,assignment]
    try:
        await keep_ticket_keys(store, lambda: NOON, sleep)
    except asyncio.CancelledError:
        assert (await stored(store)).since == NOON
    assert slept == [LOOK_SECONDS] * 3
    await store.close()
