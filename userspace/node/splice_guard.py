"""What the guard in the kernel compares with: its secrets, the epoch, the headers it knows, the paths covered."""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from ctypes import c_uint32, c_uint64

from control.model.keys import PREFIXES
from userspace.http.footprint import name_hash
from userspace.node.head_table import head_table
from userspace.node.maps import Table
from userspace.node.splice_abi import Attribute, GuardKey, GuardPath, GuardTable, Header
from userspace.wire import Message

HEADERS: dict[str, int] = {
    "host": Attribute.HOST,
    "cookie": Attribute.COOKIE,
    "user-agent": Attribute.USER_AGENT,
    "authorization": Attribute.AUTHORIZATION,
    "content-length": Header.HEADER_LENGTH,
    "connection": Header.HEADER_KEEP,
    **dict.fromkeys(
        (
            *("transfer-encoding", "upgrade", "expect", "te", "trailer", "http2-settings", "proxy-connection"),
            *("keep-alive", "proxy-authorization"),
        ),
        Header.HEADER_REFUSED,
    ),
}
_ZERO = c_uint32(0)


class SpliceGuard:
    """The secrets are made once for as long as the maps are there: what an earlier node hashed holds on.

    accounts_of: which accounts may count for any of some upstreams. `edition` grows with every change: a hand-over
    that was decided under an earlier one is refused.
    """

    def __init__(self, tables: Mapping[str, Table], accounts_of: Callable[[Collection[str]], Iterable[int]]) -> None:
        self._tables = tables
        self._accounts_of = accounts_of
        self.edition = 0
        self._addresses: dict[str, list[str]] = {}
        self._key = GuardKey.from_buffer_copy(tables["guard_key"].get(_ZERO) or bytes(GuardKey()))
        if not self._key.factor:
            self._key = GuardKey(seed=secrets.randbits(64), factor=secrets.randbits(64) | 1, epoch=1)
        # Whatever changed while no node was there is decided anew by workers: who has them calls advance().
        names = {
            bytes(c_uint64(name_hash(self._key.seed, self._key.factor, name.encode()))): kind
            for name, kind in HEADERS.items()
        }
        for number, kind in names.items():
            tables["guard_headers"].put(number, c_uint32(kind))
        # Others are of a build that hashed otherwise, whose programs have been replaced.
        for number in dict(tables["guard_headers"].items()).keys() - names.keys():
            tables["guard_headers"].delete(number)
        tables["guard_states"].put(_ZERO, GuardTable.from_buffer_copy(head_table()))
        tables["guard_key"].put(_ZERO, self._key)

    @property
    def epoch(self) -> int:
        return int(self._key.epoch)

    def epoch_of(self, account: int) -> int:
        """The epoch that a splice of this account is made under."""
        return self.epoch + self._own(account)

    def advance(self, upstreams: Collection[str] | None = None) -> None:
        """Have every splice of a guarded connection come back with its next request, or those of some upstreams. See
        new_epoch."""
        self.edition += 1
        if upstreams is None:
            self._key.epoch += 1
            self._tables["guard_key"].put(_ZERO, self._key)
            return
        for account in self._accounts_of(upstreams):
            self._tables["splice_epochs"].put(c_uint32(account), bytes(c_uint64(self._own(account) + 1)))

    def _own(self, account: int) -> int:
        return int.from_bytes(self._tables["splice_epochs"].get(c_uint32(account)) or b"", "little")

    def is_decisive(self, message: Message) -> bool:
        """Return whether what workers are told of endpoints may change decisions: who is down does, for its upstream; a
        name does when it leads elsewhere, and is told of at every answer."""
        if message["type"] != "names":
            return bool(message["type"] == "down")
        changed = False
        for name, answer in message["names"].items():
            addresses = sorted(answer[0]) if answer is not None else []
            changed |= self._addresses.get(name, []) != addresses
            if addresses:
                self._addresses[name] = addresses
            else:
                self._addresses.pop(name, None)
        return changed

    def message(self) -> Message:
        """What workers are told, on the wire that also brings the configuration."""
        key = self._key
        shared = {"seed": str(key.seed), "factor": str(key.factor)}
        return {"type": "splice_key", **shared, "epoch": int(key.epoch), "edition": self.edition}

    def cover(self, decision: int, path: int) -> None:
        """Let another path, by its hash, be covered by a decision. The table forgets what was not used for longest."""
        self._tables["guard_paths"].put(GuardPath(decision=decision, path=path), c_uint32(1))


def upstreams_of(keys: Iterable[str]) -> list[str] | None:
    """Return which upstreams a change of the store is of; None when it is of anything else too."""
    changed, prefix = list(keys), PREFIXES["upstream"]
    return [key.removeprefix(prefix) for key in changed] if all(key.startswith(prefix) for key in changed) else None


@contextmanager
def new_epoch(
    guard: SpliceGuard | None, tell: Callable[[Message], None], upstreams: Collection[str] | None = None
) -> Iterator[None]:
    """Around telling workers what changes decisions, or only what is decided within `upstreams`: what was decided
    before counts no more from here on, and behind the change itself they are told what they decide under now. Without a
    guard that is nothing."""
    if guard is not None:
        guard.advance(upstreams)
    yield
    if guard is not None:
        tell(guard.message())
