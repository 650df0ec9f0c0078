"""The datapath against a model of the splice that is written down a second time (splice_model.py).

Both get the same segments; verdict, every byte that leaves, what the splice remembers and what the node is told must
be the same after each. UNILB_MODEL_EXAMPLES=20000 looks longer.
"""

import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from ctypes import c_uint32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bpf.splice_frames import arriving, frame, leaving, normal
from tests.bpf.splice_machine import ID
from tests.bpf.splice_model import DOWN, UP, Model, Passed, Segment, Verdict
from tests.bpf.splice_scripts import STEPS, exchange
from tests.bpf.test_splice import Machine, machine
from tests.packets import TC_ACT_OK, TC_ACT_REDIRECT, TC_ACT_SHOT
from userspace.node.abi import DropReason
from userspace.node.splice_abi import EventType, Flag, Kind, Splice, State

__all__ = ["machine"]
pytestmark = pytest.mark.bpf
EXAMPLES = int(os.environ.get("UNILB_MODEL_EXAMPLES", "500"))
COVERED = re.compile(rb"GET /a\?x=1 HTTP/1\.1\r\nHost: shop\.example\r\nCookie: s=1\r\nUser-Agent: t\r\n")
SCALES = (0, 7, 14)
FOR_EVER, OVER = 2**63 - 1, 1


def begun(rng: random.Random, guarded: bool, tail: bool) -> Model:
    """Return a splice at its beginning, its numbers often a few bytes from where they wrap."""

    def number() -> int:
        return rng.choice((rng.getrandbits(32), 2**32 - rng.randrange(1, 300), 2**31 - rng.randrange(300), 0))

    end, delta = [number(), number()], [number(), number()]
    told = [(end[way] + delta[way]) % 2**32 for way in (DOWN, UP)]
    clock = rng.choice(([None, None], [number(), number()]))
    return Model(
        delta=delta,
        end=end,
        acked=told,
        scale_from=[rng.choice(SCALES), rng.choice(SCALES)],
        scale_to=[rng.choice(SCALES), rng.choice(SCALES)],
        window=[100, 200],
        guarded=guarded,
        timestamps=rng.random() < 0.6,
        covered=COVERED,
        state=State.TAIL if tail else State.ACTIVE,
        tail_end=told[0],
        clock=list(clock),
        head=end[UP],
    )


class Both:
    """The datapath and the model, in step."""

    def __init__(self, machine: Machine, model: Model, v6: bool, rng: random.Random) -> None:
        self._machine, self._model, self._v6, self._rng = machine, model, v6, rng
        self._drops = machine.tables["drops"]
        self._base, self._created = (rng.getrandbits(32), rng.getrandbits(32)), time.monotonic_ns()
        words = ("delta", "end", "acked", "scale_from", "scale_to", "window")
        known = {name: tuple(getattr(model, name)) for name in words}
        machine.carry(
            v6=v6,
            kind=Kind.GUARDED if model.guarded else Kind.OPAQUE,
            state=model.state,
            flags=flags(model),
            tail_end=model.tail_end,
            head=model.head,
            clock=tuple(ticks or 0 for ticks in model.clock),
            clock_base=self._base,
            created_ns=self._created,
            **known,
        )

    def send(self, way: int, segment: Segment) -> Verdict:
        packet = frame(arriving(way, self._v6), segment)
        before = [sum(int.from_bytes(raw, "little") for raw in self._drops.shares(n)) for n in WATCHED]
        state = self._model.state
        ran = self._machine.ran(packet)
        entry = self._machine.splice
        if ran.verdict == TC_ACT_REDIRECT:
            self._learn(way, segment, entry)
        verdict = self._model.take(way, segment)
        if isinstance(verdict, Segment):
            expected = frame(leaving(way, self._v6), verdict, back=self._machine.is_xdp)
            assert ran.verdict == TC_ACT_REDIRECT
            assert normal(ran.packet, self._v6) == normal(expected, self._v6)
        elif isinstance(verdict, Passed):
            assert (ran.verdict, ran.packet) == (TC_ACT_OK, packet)
        else:
            after = [sum(int.from_bytes(raw, "little") for raw in self._drops.shares(n)) for n in WATCHED]
            grown = [reason for reason, a, b in zip(WATCHED, after, before, strict=True) if a != b]
            assert (ran.verdict, grown) == (TC_ACT_SHOT, [verdict])
        assert remembered(entry, self._machine.said) == expected_of(self._model)
        if self._model.state == State.BACK != state:
            self._model.may_pass = self._rng.random() < 0.3
            entry.deadline_ns = OVER if self._model.may_pass else FOR_EVER
            self._machine.tables["splices"].put(c_uint32(ID), entry)
        return verdict

    def told(self) -> list[EventType]:
        return [EventType(event.type) for event in self._machine.events()]

    def _learn(self, way: int, segment: Segment, entry: Splice) -> None:
        """A clock goes on from what its receiver was last told, a tick a millisecond."""
        stamp = [words for kind, words in segment.options if kind == 8]
        if self._model.timestamps and stamp and self._model.clock[way] is None:
            passed = (time.monotonic_ns() - self._created) // 1_000_000 + 1
            ticks = (int(stamp[0][0]) + entry.clock[way] - self._base[way]) % 2**32
            assert 1 <= ticks <= passed
            self._model.clock[way] = entry.clock[way]


WATCHED = tuple(reason for reason in DropReason if reason.name.startswith(("SPLICE", "TTL", "MALFORMED", "INTERNAL")))


def flags(model: Model) -> int:
    known = (Flag.TS_UP, Flag.TS_DOWN)
    said = sum(flag for flag, clock in zip(known, model.clock, strict=True) if clock is not None)
    said |= Flag.TIMESTAMPS if model.timestamps else 0
    said |= (Flag.FIN_UP if model.fin[UP] else 0) | (Flag.FIN_DOWN if model.fin[DOWN] else 0)
    return int(said | (Flag.AWAITS if model.awaits else 0) | (Flag.RESET if model.reset else 0))


ARRAYS = ("end", "acked", "window", "last_ts", "packets", "bytes", "delta")
NUMBERS = ("head", "requests", "answer")


def remembered(entry: Splice, kept: bytes) -> dict[str, object]:
    said: dict[str, object] = {name: list(getattr(entry, name)) for name in ARRAYS}
    said |= {name: getattr(entry, name) for name in NUMBERS}
    said |= {"state": State(entry.state), "back": entry.back, "flags": Flag(entry.flags)}
    said |= {"said": kept, "last": bytes(entry.last), "mixed": bool(entry.mixed)}
    return said | {"mark": (entry.mark_seq, entry.mark_len), "clock": list(entry.clock)}


def expected_of(model: Model) -> dict[str, object]:
    said: dict[str, object] = {name: list(getattr(model, name)) for name in ARRAYS}
    said |= {name: getattr(model, name) for name in NUMBERS}
    said |= {"state": model.state, "back": model.back, "flags": Flag(flags(model))}
    said |= {"said": model.said, "last": model.last, "mixed": model.mixed}
    start, head = model.mark
    return said | {"mark": (start, len(head)), "clock": [ticks or 0 for ticks in model.clock]}


def play(machine: Machine, names: list[str], seed: int, guarded: bool) -> Counter[str]:
    """Play the steps; return what occurred."""
    rng = random.Random(seed)
    tail = rng.random() < 0.3
    model = begun(rng, guarded, tail)
    both = Both(machine, model, rng.random() < 0.3, rng)
    occurred: Counter[str] = Counter()
    for name in names[1:] if tail and len(names) > 1 else names:
        for way, segment in STEPS[name](model, rng):
            verdict = both.send(way, segment)
            occurred.update(seen(way, segment, model, verdict))
    assert both.told() == model.told
    return occurred


def seen(way: int, segment: Segment, model: Model, verdict: Verdict) -> Iterator[str]:
    sent, onward = segment.seq, (segment.seq + model.delta[way]) % 2**32
    if sent + len(segment.payload) > 2**32 or onward + len(segment.payload) > 2**32:
        yield "a number wraps within a segment"
    if onward < sent != (model.delta[way] == 0):
        yield "a number wraps by the difference"
    if model.timestamps and any(kind == 8 and words[0] >= 2**32 - 40 for kind, words in segment.options):
        yield "a timestamp about to wrap"
    yield f"scale {model.scale_from[way]} to {model.scale_to[way]}"
    yield model.state.name
    yield f"back: {model.back.name}"
    yield verdict.name if isinstance(verdict, DropReason) else type(verdict).__name__


EXPECTED = {
    *("a number wraps within a segment", "a number wraps by the difference", "a timestamp about to wrap"),
    *(f"scale {a} to {b}" for a in SCALES for b in SCALES),
    *("TAIL", "ACTIVE", "CLOSED", "BACK"),
    *(f"back: {why}" for why in ("NONE", "FOOTPRINT", "HEAD", "SPLIT", "PIPELINED")),
    *("SPLICE_ORDER", "SPLICE_EARLY", "SPLICE_REPEAT", "SPLICE_HELD", "SPLICE_CHECKSUM", "TTL_EXPIRED"),
    *("Segment", "Passed"),
}


def every_step(machine: Machine) -> None:
    """Each kind of step many times, on a connection that has lived and goes on, opaque and guarded."""
    occurred: Counter[str] = Counter()
    for number, name in enumerate(STEPS):
        for turn in range(ROUNDS):
            names = ["exchange", name, "request", name, "answer", "request", "request_again", name, "data", name]
            occurred += play(machine, names, number * 1000 + turn, turn % 2 == 0)
    assert sorted(EXPECTED - set(occurred)) == []


ROUNDS = 24


def test_every_kind_of_step_does_to_the_datapath_what_it_does_to_the_model(machine: Machine) -> None:
    every_step(machine)


def test_any_sequence_of_steps_does_to_the_datapath_what_it_does_to_the_model(machine: Machine) -> None:
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=20), st.integers(0, 2**32), st.booleans())
    def compare(names: list[str], seed: int, guarded: bool) -> None:
        play(machine, names, seed, guarded)

    compare()


def test_a_long_life_of_exchanges_over_the_wrap(machine: Machine) -> None:
    """Requests and answers until both ends' numbers have wrapped, on both legs."""
    model = begun(random.Random(1), True, False)
    model.timestamps, model.clock = False, [None, None]
    model.end = [2**32 - 150, 2**32 - 90]
    model.delta = [2**31, 70]
    model.head, model.tail_end = model.end[UP], (model.end[DOWN] + model.delta[DOWN]) % 2**32
    model.acked = [model.tail_end, (model.end[UP] + model.delta[UP]) % 2**32]
    both = Both(machine, model, False, random.Random(2))
    for _ in range(8):
        for way, segment in exchange(model, random.Random(3)):
            both.send(way, segment)
    assert model.requests == 8 and max(model.end) < 2**31
