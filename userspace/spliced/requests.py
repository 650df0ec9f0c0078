"""Requests that the kernel carried: records of its ring in, finished requests out. Pure.

A record (struct spliced_request) has the head of a request and what became of the one before it on its connection. So
a request is open until the next one of its connection, or the connection's end, which the node tells where it has made
it. One that stays silent is finished by what the map `splices` says of it; so is one whose connection was on its way
back, since it may have carried on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, NamedTuple

from userspace.node.answer_end import is_whole
from userspace.node.splice_abi import Flag, Kind, Splice, State

FIXED: Final = Struct("=5I2s2s16s16s5Q2IH4B2x")
"""struct spliced_request without its head."""
SILENT: Final = 3.0  # seconds after which the kernel is asked what became of a request
NSEC: Final = 1_000_000_000
_KIND, _STATE = 19, 20  # among the fields
_WORD, _SIGN = 0xFFFFFFFF, 0x80000000


class Finished(NamedTuple):
    """A request that is over; head is empty for all of an opaque splice. Addresses are the map's 16 bytes, ports as on
    the wire. *_ns is CLOCK_MONOTONIC; up, down: bytes; first_us: until the first byte of the answer. why: the node has
    ended the splice for this reason."""

    head: bytes
    account: int
    client_port: bytes
    server_port: bytes
    client: bytes
    server: bytes
    revision: int
    logged: int
    begun_ns: int
    answered_ns: int
    up: int
    down: int
    first_us: int
    status: int
    flags: int
    why: str = ""


class Figures(NamedTuple):
    """What became of a request."""

    begun_ns: int
    answered_ns: int
    up: int
    down: int
    first_us: int
    status: int
    flags: int


@dataclass(slots=True)
class _Open:
    """A request without its end: the record that told it, and when it came or was last asked about. back: the record
    that said that its connection goes back."""

    generation: int
    number: int
    record: bytes
    since: float
    back: bytes = b""


class Requests:
    """`write` takes each finished request. lost: those whose record, or whose end, was not told."""

    def __init__(self, write: Callable[[Finished], None]) -> None:
        self._write = write
        self._open: dict[int, _Open] = {}  # by splice, the one that was longest silent first
        self.lost = 0

    def __len__(self) -> int:
        return len(self._open)

    def take(self, record: bytes, now: float) -> None:
        """Take the next record of the ring."""
        fixed = FIXED.unpack_from(record)
        id, generation, over, length = fixed[:4]
        known = self._open.pop(id, None)
        if known is not None:
            if known.generation != generation:
                self._give_up(known)
            elif known.number != over:
                self._give_up(known)
                self.lost += max(0, over - known.number)
            elif fixed[_STATE] == State.BACK:
                known.back, known.since = record, now
                self._open[id] = known
            else:
                self._write(_finished(known.record, _figures(fixed)))
        if length:
            self._open[id] = _Open(generation, over + 1, record, now)
        elif fixed[_KIND] == Kind.OPAQUE:
            self._write(_finished(record, _figures(fixed)))

    def silent(self, now: float, most: int) -> list[int]:
        """Return up to `most` splices that have said nothing for a while; each is returned again after a while."""
        found = list[int]()
        for id, open in self._open.items():
            if len(found) >= most or now - open.since < SILENT:
                break
            found.append(id)
        for id in found:
            open = self._open[id] = self._open.pop(id)
            open.since = now
        return found

    def settle(self, id: int, splice: Splice, said: bytes, now_ns: int) -> None:
        """Finish a silent request if it is over, by the map's entry. Everything that the ring had when that was read
        must have been taken. said, now_ns: as in answer_end.is_whole()."""
        open = self._open.get(id)
        if open is None:
            return
        if splice.generation != open.generation or splice.requests != open.number:
            del self._open[id]
            self._give_up(open)
        elif _is_over(splice, said, now_ns):
            del self._open[id]
            self._write(_finished(open.record, figures(splice)))

    def end(self, id: int, splice: Splice, why: str, at_ns: int) -> None:
        """Finish what the node has ended, by the map's entry as it was; as `settle` otherwise. at_ns: when that was."""
        if splice.kind == Kind.OPAQUE:
            self._write(_tunnel(splice, why, at_ns))
            return
        open = self._open.get(id)
        if open is None or (splice.generation, splice.requests) != (open.generation, open.number):
            return
        del self._open[id]
        became = figures(splice)
        if became.flags & Flag.AWAITS:
            became = became._replace(answered_ns=at_ns)
        self._write(_finished(open.record, became, why))

    def records(self) -> Iterator[bytes]:
        """Yield the records of the open requests, for a successor to take."""
        for open in self._open.values():
            yield open.record
            if open.back:
                yield open.back

    def restore(self, record: bytes, now: float) -> None:
        """Take over an open request of a predecessor; what is none counts for nothing."""
        if len(record) >= FIXED.size:
            id, generation, over, length = FIXED.unpack_from(record)[:4]
            if length:
                self._open[id] = _Open(generation, over + 1, record, now)
            elif id in self._open:
                self._open[id].back = record

    def _give_up(self, open: _Open) -> None:
        """Nobody will say more of it: what was said when its connection went back holds."""
        if open.back:
            self._write(_finished(open.record, _figures(FIXED.unpack_from(open.back))))
        else:
            self.lost += 1


def _finished(record: bytes, became: Figures, why: str = "") -> Finished:
    fixed = FIXED.unpack_from(record)
    return Finished._make((record[FIXED.size :], *fixed[4:10], fixed[18], *became, why))


def _tunnel(splice: Splice, why: str, at_ns: int) -> Finished:
    """Return all of an opaque splice, as request_note() of splice_log.h tells it."""
    return Finished(
        head=b"",
        account=splice.account,
        client_port=splice.client_port.to_bytes(2, "big"),
        server_port=splice.from_[0].dport.to_bytes(2, "big"),
        client=bytes(splice.client),
        server=bytes(splice.from_[0].daddr),
        revision=splice.revision,
        logged=splice.logged,
        begun_ns=splice.created_ns,
        answered_ns=at_ns,
        up=splice.bytes[0],
        down=splice.bytes[1],
        first_us=splice.first_us,
        status=splice.status,
        flags=splice.flags,
        why=why,
    )


def _figures(fixed: tuple[Any, ...]) -> Figures:
    begun, answered, up, down, answer, first_us, status, flags = fixed[10:18]
    return Figures(begun, answered, up, _exact(down, answer), first_us, status, flags)


def _exact(down: int, answer: int) -> int:
    """Bytes of an answer: all that came, without what was repeated; `answer` is the same modulo 2^32."""
    return max(0, down - (down - answer & _WORD))  # a FIN that came before is subtracted from nothing


def figures(splice: Splice) -> Figures:
    """Return what became of a splice's last request, as request_note() of splice_log.h does."""
    end = splice.head
    if splice.end[0] - end & _SIGN:  # the body was cut short
        end = splice.end[0]
    answer = splice.end[1] - splice.asked_at - bool(splice.flags & Flag.FIN_DOWN) & _WORD
    return Figures(
        begun_ns=splice.request_ns,
        answered_ns=splice.answered_ns,
        up=end - splice.mark_seq & _WORD,
        down=_exact(splice.bytes[1] - splice.bytes_before, answer),
        first_us=splice.first_us,
        status=splice.status,
        flags=splice.flags,
    )


def _is_over(splice: Splice, said: bytes, now_ns: int) -> bool:
    if splice.state in (State.FREE, State.CLOSED, State.BACK):
        return True
    # Bytes that the client has not acknowledged are still on their way, however long that takes.
    arrived = splice.acked[0] == (splice.end[1] + splice.delta[1] & _WORD)
    quiet = now_ns - splice.answered_ns > SILENT * NSEC
    return bool(arrived and quiet and not splice.flags & Flag.AWAITS) and is_whole(splice, said, now_ns)
