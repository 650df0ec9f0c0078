"""The watch on etcd: one stream over one key range, checked for life, resumed without gap or repeat.

Three things lose updates in other clients; here:
- The place to resume from advances with received changes and genuine progress notifications only, never on a time-out.
- A server that is frozen, cut off from its peers or behind a dead link is noticed by a separate read from the same
  endpoint every CHECK_INTERVAL, and its stream left within CHECK_INTERVAL + CHECK_TIMEOUT.
- A store that went back (lower revision) or is another one (cluster id) raises Replaced. So does one that went back and
  was written to until it passed us: a stream is opened at the last change we know, and must begin with that change.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import aiohttp
import orjson

from control.store.base import Change, Changes, Compacted, Replaced, StoreError, StoreUnavailable, prefix_end
from control.store.etcd_gateway import EtcdRefused, Gateway, encode, revision_of

# Seconds.
CHECK_INTERVAL = 2.0
CHECK_TIMEOUT = 2.0
# Changes outside the watched range also move the store on: opening the stream again at the same place costs little.
SILENT_CHECKS = 3
# How long all endpoints may fail before the watch gives up with StoreUnavailable.
GIVE_UP = 3.0
RETRY_FIRST = 0.05
RETRY_MOST = 0.5
# One message of the stream. What is bigger is fetched by listing again, in pages.
MAX_MESSAGE_BYTES = 64 << 20
# In place of a message: the store has answered a check.
_ALIVE = b""


@dataclass(slots=True)
class Anchor:
    """The last change that a watch delivered: its revision (0: none yet) and a hash of it, true in this process."""

    revision: int = 0
    digest: int = 0


class EtcdWatch:
    """One consumer's watch. `next_revision` is the first that it has not delivered.

    `anchor` is kept by the caller, from one watch on these prefixes to the next.
    """

    def __init__(
        self,
        gateway: Gateway,
        prefixes: Sequence[str],
        from_revision: int,
        cluster_id: str | None,
        anchor: Anchor | None = None,
    ) -> None:
        self._gateway = gateway
        self._prefixes = tuple(prefixes)
        # One range that covers all prefixes keeps a transaction over several of them whole and in order.
        self._start = min(self._prefixes)
        self._end = max(prefix_end(prefix) for prefix in self._prefixes)
        self._cluster_id = cluster_id
        self._anchor = anchor or Anchor()
        # What a stream that was opened at the anchor must begin with; None once it has, or when there is no anchor.
        self._expected: tuple[int, int] | None = None
        self.next_revision = from_revision

    async def run(self) -> AsyncGenerator[Changes, None]:
        """Deliver for ever. Raises Compacted, StoreUnavailable, EtcdRefused."""
        loop = asyncio.get_running_loop()
        failing_since: float | None = None
        pause = RETRY_FIRST
        while True:
            endpoint = self._gateway.endpoint
            try:
                async with aclosing(self._stream(endpoint)) as stream:
                    async for batch in stream:
                        failing_since, pause = None, RETRY_FIRST
                        if batch is not None:
                            yield batch
            except StoreUnavailable as error:
                self._gateway.leave(endpoint)
                failing_since = loop.time() if failing_since is None else failing_since
                if self._gateway.is_closed or loop.time() - failing_since >= GIVE_UP:
                    raise StoreUnavailable(f"watch: {error}") from error
            except Compacted as error:
                self._anchor.revision = 0
                if isinstance(error, Replaced) or self._expected is None:
                    raise
                # What is gone may be the anchor alone, and what comes after it may be there.
                self._expected = None
                continue
            except EtcdRefused as error:
                if error.is_compacted:
                    raise Compacted(str(error)) from error
                if not error.is_unauthenticated or failing_since is not None:
                    raise
                failing_since = loop.time()
                self._gateway.forget_token()
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_MOST)

    async def _stream(self, endpoint: str) -> AsyncGenerator[Changes | None, None]:
        """Deliver until something breaks; None says that the watch stands."""
        is_known = 0 < self._anchor.revision < self.next_revision
        self._expected = (self._anchor.revision, self._anchor.digest) if is_known else None
        create = {
            "key": encode(self._start),
            "range_end": encode(self._end),
            "start_revision": str(self._expected[0] if self._expected else self.next_revision),
            "progress_notify": True,
        }
        # The check comes first: etcd takes a start revision of the future without a word.
        await self._check(endpoint)
        messages: asyncio.Queue[bytes | StoreError] = asyncio.Queue(16)
        reader = asyncio.create_task(self._read(endpoint, {"create_request": create}, messages))
        checker = asyncio.create_task(self._check_often(endpoint, messages))
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                batches = self._batches(await messages.get())
            async with asyncio.timeout(CHECK_TIMEOUT):
                while self._expected is not None:
                    batches += self._batches(await messages.get())
            for batch in batches:
                yield batch
            yield None
            while True:
                for batch in self._batches(await messages.get()):
                    yield batch
        except TimeoutError:
            raise StoreUnavailable(f"{endpoint}: no answer to the watch request in time") from None
        finally:
            for task in (reader, checker):
                task.cancel()
            await asyncio.gather(reader, checker, return_exceptions=True)

    async def _read(
        self, endpoint: str, request: dict[str, Any], messages: "asyncio.Queue[bytes | StoreError]"
    ) -> None:
        """Put each line of the stream, then the reason for its end, into `messages`."""
        try:
            async with self._gateway.stream(endpoint, "/v3/watch", request) as content:
                await _read_lines(content, messages)
            raise StoreUnavailable(f"{endpoint}: the watch ended")
        except StoreError as error:
            await messages.put(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await messages.put(StoreUnavailable(f"{endpoint}: {error or type(error).__name__}"))

    async def _check_often(self, endpoint: str, messages: "asyncio.Queue[bytes | StoreError]") -> None:
        silent_checks = 0
        delivered = self.next_revision - 1
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                current = await self._check(endpoint)
                is_silent = current > delivered == self.next_revision - 1
                silent_checks = silent_checks + 1 if is_silent else 0
                delivered = self.next_revision - 1
                await messages.put(_ALIVE)
                if silent_checks >= SILENT_CHECKS:
                    raise StoreUnavailable(f"{endpoint}: the store moves on, the watch does not")
            except StoreError as error:
                await messages.put(error)
                return

    async def _check(self, endpoint: str) -> int:
        """The store's revision, by a read that needs the majority.

        Raises StoreUnavailable when it is late, Replaced when another cluster answers, or one that has gone back.
        """
        body = {"key": encode(self._start), "range_end": encode(self._end), "limit": "1", "keys_only": True}
        delivered = self.next_revision - 1
        answer = await self._gateway.call_endpoint(endpoint, "/v3/kv/range", body, CHECK_TIMEOUT)
        cluster_id = str(answer["header"].get("cluster_id"))
        if self._cluster_id is None:
            self._cluster_id = cluster_id
        if cluster_id != self._cluster_id:
            raise Replaced(f"{endpoint} belongs to another cluster than the one that was listed")
        if revision_of(answer) < delivered:
            raise Replaced(f"{endpoint} is at revision {revision_of(answer)}, after {delivered}: it was restored")
        return revision_of(answer)

    def _batches(self, message: bytes | StoreError) -> list[Changes]:
        """Decode one message. Raises what it says went wrong."""
        if isinstance(message, StoreError):
            raise message
        if message is _ALIVE:
            return [Changes(self.next_revision - 1, ())]
        try:
            answer = orjson.loads(message)
            result = answer.get("result", {})
            if "error" in answer:
                error = answer["error"]
                raise StoreUnavailable(f"watch: {error.get('message', error)}")
            if int(result.get("compact_revision", 0)) > 0:
                raise Compacted(f"etcd has compacted up to revision {result['compact_revision']}")
            if result.get("canceled"):
                raise _cancellation(str(result.get("cancel_reason", "")))
            changes = [_change(event) for event in result.get("events", ())]
            if result.get("created"):
                return []
            if not changes:
                return self._progress(revision_of(result))
        except (orjson.JSONDecodeError, KeyError, ValueError, AttributeError, TypeError) as error:
            raise StoreUnavailable(f"watch: cannot read {message[:100]!r}: {error!r}") from error
        batches = []
        for revision, group in groupby(changes, key=lambda change: change.mod_revision):
            changed = tuple(group)
            if self._expected not in (None, (revision, hash(changed))):
                raise Replaced(f"what revision {self._anchor.revision} was is no more: the store was restored")
            self._expected = None
            if revision < self.next_revision:
                continue
            self.next_revision = revision + 1
            self._anchor.revision, self._anchor.digest = revision, hash(changed)
            batches.append(Changes(revision, tuple(c for c in changed if c.key.startswith(self._prefixes))))
        return batches

    def _progress(self, revision: int) -> list[Changes]:
        if revision < self.next_revision:
            return []
        self.next_revision = revision + 1
        return [Changes(revision, ())]


async def _read_lines(content: aiohttp.StreamReader, messages: "asyncio.Queue[bytes | StoreError]") -> None:
    parts: list[bytes] = []
    size = 0
    async for data in content.iter_any():
        *lines, rest = data.split(b"\n")
        for line in lines:
            if parts or line:
                await messages.put(b"".join((*parts, line)))
            parts, size = [], 0
        if rest:
            parts.append(rest)
            size += len(rest)
        if size > MAX_MESSAGE_BYTES:
            raise Compacted(f"one message of the watch is over {MAX_MESSAGE_BYTES} bytes")


def _change(event: dict[str, Any]) -> Change:
    kv = event["kv"]
    is_deletion = event.get("type") == "DELETE"
    return Change(
        key=base64.b64decode(kv["key"]).decode(),
        value=None if is_deletion else base64.b64decode(kv.get("value", "")),
        mod_revision=int(kv["mod_revision"]),
        create_revision=int(kv.get("create_revision", 0)),
    )


def _cancellation(reason: str) -> StoreError:
    if "compacted" in reason:
        return Compacted(f"etcd: {reason}")
    if "permission denied" in reason or "auth" in reason:
        return EtcdRefused(16, reason or "permission denied")
    return StoreUnavailable(f"watch: {reason or 'cancelled by the server'}")
