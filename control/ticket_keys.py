"""Keeps the secrets of TLS session tickets in the store: makes them, and changes them while somebody serves.

Every control process does so; a compare in the transaction leaves one of them to win. Gateways learn the secrets as
they learn the rest of the configuration, so a session is resumed on whichever of them the client comes to next.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable

import orjson

from control.model.errors import ModelError
from control.model.keys import TICKET_KEYS
from control.model.tickets import SECRET_BYTES, TicketKeys
from control.store.base import Compare, Put, Store, StoreError

ROTATE_SECONDS = 12 * 3600
"""Tickets live for two hours, and a secret opens them for one more term: up to a day after it was made, so that what
was recorded is safe from whoever learns the secrets of later."""
LOOK_SECONDS = 60.0


async def keep_ticket_keys(
    store: Store, clock: Callable[[], float] = time.time, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Do so until cancelled, first in LOOK_SECONDS. What the store does not take now is tried again then."""
    while True:
        await sleep(LOOK_SECONDS)
        with contextlib.suppress(StoreError):
            await rotate_if_due(store, int(clock()))


async def rotate_if_due(store: Store, now: int) -> bool:
    """Make the secrets, or replace the older one; True when that was due and nobody else was faster.

    Secrets from the future are as good as old ones: a clock was wrong.
    """
    entry = await store.get(TICKET_KEYS)
    fresh = secrets.token_bytes(SECRET_BYTES)
    keys = TicketKeys(fresh, now)
    if entry is not None:
        with contextlib.suppress(ModelError, orjson.JSONDecodeError):
            stored = TicketKeys.from_json(orjson.loads(entry.value))
            if 0 <= now - stored.since < ROTATE_SECONDS:
                return False
            keys = stored.rotated(fresh, now)
    compare = Compare(TICKET_KEYS, 0 if entry is None else entry.mod_revision)
    result = await store.txn([compare], [Put(TICKET_KEYS, orjson.dumps(keys.to_json()))])
    return result.succeeded
