"""What a splice must do, said a second time: a segment in, a segment out, and what is remembered.

Written from the design (section 8) and RFCs 793, 2018, 5961 and 7323, without the C beside it: where both agree on
millions of segments, one misreading would have to be made twice. Numbers are the sender's of their way, as in
userspace.node.splice_abi; way 0 is the client's, 1 the endpoint's. A head is remembered by its bytes, not by a hash.
"""

import re
from dataclasses import dataclass, field, replace

from userspace.node.abi import DropReason
from userspace.node.splice_abi import Back, EventType, State

UP, DOWN = 0, 1
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
NOP, SACK, TIMESTAMPS = 1, 5, 8
HEAD_MAX, SUMMED = 1024, 1536  # what the kernel reads of a head, and what it sums
KEPT, MORE = 2560, 1024  # of an answer, and of a segment behind its first
INTERIM = 1024  # how far the end of an interim response is looked for
LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]{1,9})\r\n")

Option = tuple[int, tuple[int, ...] | bytes]  # SACK and TIMESTAMPS: their 32-bit words


@dataclass(frozen=True)
class Segment:
    """One TCP segment. error: what is added to the checksum that would be right."""

    flags: int
    seq: int
    ack: int
    payload: bytes = b""
    window: int = 512
    options: tuple[Option, ...] = ()
    urgent: int = 0
    ttl: int = 64
    tos: int = 0
    error: int = 0

    @property
    def end(self) -> int:
        return self.seq + len(self.payload) + bool(self.flags & FIN)

    def words(self, kind: int) -> tuple[int, ...]:
        return next((tuple(words) for number, words in self.options if number == kind), ())


@dataclass(frozen=True)
class Passed:
    """To the stack, unchanged."""


Verdict = Segment | Passed | DropReason


def ahead(a: int, b: int) -> int:
    """Return a - b of two numbers less than 2^31 apart."""
    return (a - b + 2**31) % 2**32 - 2**31


@dataclass
class Model:
    """One splice. clock: None until the first timestamp of that way; covered: the paths that are let through."""

    delta: list[int]
    end: list[int]
    acked: list[int]
    scale_from: list[int]
    scale_to: list[int]
    window: list[int]
    guarded: bool
    timestamps: bool
    covered: re.Pattern[bytes]
    state: State = State.ACTIVE
    tail_end: int = 0
    clock: list[int | None] = field(default_factory=lambda: [None, None])
    last_ts: list[int] = field(default_factory=lambda: [0, 0])
    packets: list[int] = field(default_factory=lambda: [0, 0])
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    fin: list[bool] = field(default_factory=lambda: [False, False])
    gone: list[bool] = field(default_factory=lambda: [False, False])
    back: Back = Back.NONE
    may_pass: bool = False  # BACK: the deadline is over
    head: int = 0
    mark: tuple[int, bytes] = (0, b"")
    answer: int = 0
    awaits: bool = False
    said: bytes = b""
    last: bytes = b"\0" * 8
    mixed: bool = False
    reset: bool = False  # by the endpoint
    requests: int = 0
    told: list[EventType] = field(default_factory=list)

    def take(self, way: int, segment: Segment) -> Verdict:
        """Return what becomes of the segment. A clock that is learnt by it is the caller's to fill in before."""
        if self.gone[way]:
            return Passed()
        if segment.ttl <= 1:
            return DropReason.TTL_EXPIRED
        if self.state == State.BACK:
            return Passed() if way == UP and self.may_pass else DropReason.SPLICE_HELD
        if way == UP and ((self.guarded and segment.flags & URG) or (segment.flags & SYN and segment.payload)):
            return DropReason.SPLICE_ORDER
        if self.state == State.CLOSED and segment.flags & (SYN | ACK) == SYN:
            self.gone[way] = True
            return Passed()
        if way == DOWN:
            self._answered(segment)
        self._note(way, segment)
        if way == UP and self.state == State.TAIL and segment.flags & (ACK | RST | SYN) == ACK:
            beyond = ahead(segment.ack, self.tail_end)
            if beyond >= 0:
                self.state = State.ACTIVE
                self.told.append(EventType.TAIL)
            if beyond <= 0 and not segment.payload and not segment.flags & FIN:
                return Passed()
        if way == UP and self.guarded and segment.payload:
            refused = self._judge(segment)
            if refused is not None:
                return refused
        known = [ahead(self.acked[1 - sender], self.end[sender] + self.delta[sender]) >= 0 for sender in (UP, DOWN)]
        is_reset = bool(segment.flags & RST) and self._is_expected(way, segment.seq)
        self.reset |= is_reset and way == DOWN
        if is_reset or (all(self.fin) and all(known)):
            self._close()
        return self._carried(way, segment)

    def _note(self, way: int, segment: Segment) -> None:
        self.packets[way] += 1
        self.bytes[way] += len(segment.payload)
        if segment.flags & (RST | SYN):
            return
        if ahead(segment.end, self.end[way]) > 0:
            self.end[way] = segment.end % 2**32
            if self.state == State.CLOSED and not all(self.fin):  # who sends on has not been reset
                self.state = State.TAIL if ahead(self.acked[UP], self.tail_end) < 0 else State.ACTIVE
                self.reset = False
        sent = self.end[1 - way] + self.delta[1 - way]
        if segment.flags & ACK and ahead(segment.ack, self.acked[way]) >= 0 and ahead(segment.ack, sent) <= 0:
            self.acked[way] = segment.ack
            self.window[way] = segment.window
        if self.timestamps and segment.words(TIMESTAMPS):
            self.last_ts[way] = segment.words(TIMESTAMPS)[0]
        self.fin[way] |= bool(segment.flags & FIN)

    def _answered(self, segment: Segment) -> None:
        into, payload = ahead(self.answer, segment.seq), segment.payload
        if self.awaits and 0 <= into < len(payload):
            self._begins(payload if into == 0 else b"", len(payload))
        elif self.guarded and payload and -into == len(self.said) <= KEPT - MORE:
            self.said += payload[:MORE]
        if self.guarded and payload and (segment.seq + len(payload) - self.answer - len(self.said)) % 2**32:
            self._ends(segment)

    def _begins(self, payload: bytes, length: int) -> None:
        """An answer begins; an interim one is followed by another, perhaps in the same segment."""
        self._keep(payload)
        if self.said[9:12].isdigit() and self.said[9:10] == b"1":
            blank = self.said[:INTERIM].find(b"\r\n\r\n")
            skipped = blank + 4 if blank >= 0 else length
            self.answer, self.said = (self.answer + skipped) % 2**32, b""
            if skipped == length and (blank >= 0 or length <= INTERIM):
                return
            self.mixed |= blank < 0
            self._keep(payload[skipped:])
        self.awaits = False

    def _keep(self, payload: bytes) -> None:
        self.said = payload[:KEPT]
        if len(self.said) >= len(b"HTTP/1.1 200"):
            self.mixed |= payload[:6] != b"HTTP/1"

    def _ends(self, segment: Segment) -> None:
        """What is not kept as a beginning is as an end, if it is the farthest so far."""
        end = segment.seq + len(segment.payload)
        if ahead(end, self.end[DOWN]) >= 0:
            before = self.last if segment.seq == self.end[DOWN] else b"\0" * 8
            self.last = (before + segment.payload)[-8:]

    def _close(self) -> None:
        if self.state != State.CLOSED:
            self.state = State.CLOSED
            self.told.append(EventType.END)

    def _is_expected(self, way: int, seq: int) -> bool:
        """May the receiver have come just so far? It has not acknowledged less, nor been sent more."""
        known, sent = self.acked[1 - way] - self.delta[way], self.end[way]
        return (seq - known) % 2**32 <= (sent - known) % 2**32

    def _has_endpoint(self, number: int) -> bool:
        """Has the endpoint acknowledged all of the client's stream up to here?"""
        return ahead(self.acked[DOWN] - self.delta[UP], number) >= 0

    def _judge(self, segment: Segment) -> DropReason | None:
        start, head = self.mark
        end = segment.seq + len(segment.payload)
        if ahead(end, self.head) <= 0:
            if not head or self._has_endpoint(start + len(head)):
                return None
            if ahead(end, start) <= 0 or ahead(segment.seq, start + len(head)) >= 0:
                return None
            into = ahead(start, segment.seq)
            same = into >= 0 and segment.payload[into : into + len(head)] == head
            return None if same else DropReason.SPLICE_REPEAT
        if segment.seq != self.head:
            return DropReason.SPLICE_ORDER
        if segment.error and len(segment.payload) <= SUMMED:
            return DropReason.SPLICE_CHECKSUM
        why, length, body = read(segment.payload, self.covered)
        if self.awaits or not self._has_endpoint(self.head):
            return DropReason.SPLICE_EARLY
        if ahead(self.acked[UP], self.end[DOWN] + self.delta[DOWN]) < 0:
            return DropReason.SPLICE_EARLY
        if why != Back.NONE:
            if self.state != State.CLOSED:
                self.state, self.back = State.BACK, why
                self.told.append(EventType.BACK)
            return DropReason.SPLICE_HELD
        self.mark = (self.head, segment.payload[:length])
        self.head = (self.head + length + body) % 2**32
        self.requests += 1
        self.answer, self.awaits = self.end[DOWN], True
        self.said, self.last = b"", b"\0" * 8
        return None

    def _carried(self, way: int, segment: Segment) -> Segment:
        other = 1 - way
        options: list[Option] = []
        for kind, words in segment.options:
            if kind == SACK:
                words = tuple((int(edge) - self.delta[other]) % 2**32 for edge in words)
            elif kind == TIMESTAMPS and self.timestamps:
                value, echo = words
                mine, theirs = self.clock[way], self.clock[other]
                assert mine is not None
                words = ((value + mine) % 2**32, (echo - theirs) % 2**32 if echo and theirs is not None else 0)
            options.append((kind, words))
        window = segment.window
        if not segment.flags & SYN:
            scaled = (window << self.scale_from[way]) >> self.scale_to[way]
            window = min(scaled, 0xFFFF) or min(window, 1)
        if way == UP and segment.flags & SYN:  # which would open another connection there: a probe
            seq, ack = (self.acked[DOWN] - 1) % 2**32, (self.acked[UP] - self.delta[DOWN]) % 2**32
            return replace(segment, flags=ACK, seq=seq, ack=ack, options=tuple(options), ttl=segment.ttl - 1)
        return replace(
            segment,
            seq=(segment.seq + self.delta[way]) % 2**32,
            ack=(segment.ack - self.delta[other]) % 2**32 if segment.flags & ACK else segment.ack,
            options=tuple(options),
            window=window,
            ttl=segment.ttl - 1,
        )


def read(payload: bytes, covered: re.Pattern[bytes]) -> tuple[Back, int, int]:
    """Return why user space has to read what begins here, the length of its head, and of its body."""
    head, blank, rest = payload[:HEAD_MAX].partition(b"\r\n\r\n")
    if not blank:
        return (Back.SPLIT if head[:1].isupper() else Back.HEAD), 0, 0
    head += blank
    found = LENGTH.search(head)
    if b"Transfer-Encoding" in head or (b"Content-Length" in head and not found):
        return Back.HEAD, 0, 0
    body = int(found[1]) if found else 0
    if not covered.match(head):
        return Back.FOOTPRINT, 0, 0
    if len(payload) > len(head) + body:
        return Back.PIPELINED, 0, 0
    return Back.NONE, len(head), body
