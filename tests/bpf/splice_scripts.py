"""What two ends may do on a spliced connection, decent and otherwise: each step yields segments, and looks at the model
again before the next."""

import random
from collections.abc import Callable, Iterator

from tests.bpf.splice_machine import HEAD
from tests.bpf.splice_model import (
    ACK,
    DOWN,
    FIN,
    NOP,
    PSH,
    RST,
    SACK,
    SYN,
    TIMESTAMPS,
    UP,
    URG,
    Model,
    Option,
    Segment,
    ahead,
)

Sent = Iterator[tuple[int, Segment]]
Step = Callable[[Model, random.Random], Sent]
WINDOWS = (0, 1, 2, 3, 100, 501, 0x7FFF, 0xFFFF)
EDGES = (0, 1, 50, 2**31 - 1, 2**31, 2**32 - 40, 2**32 - 1)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LONG = ANSWER[:-2] + b"X: " + b"x" * 1200 + b"\r\n\r\n"
HEADS = (
    HEAD,
    HEAD.replace(b"/a", b"/forbidden"),
    HEAD.replace(b"s=1", b"s=2"),
    HEAD[:-3],
    HEAD[:1],
    HEAD + HEAD,
    HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
    HEAD[:-2] + b"Content-Length: 6\r\n\r\n",
    HEAD[:-2] + b"Content-Length: 6\r\n\r\n" + b"123",
    HEAD[:-2] + b"Content-Length: 6\r\n\r\n" + b"123456",
    HEAD[:-2] + b"Content-Length: 6\r\n\r\n" + b"1234567",
    HEAD[:-2] + b"Content-Length: 2000\r\n\r\n" + b"y" * 1300,
    HEAD[:-2] + b"X: " + b"x" * 1100 + b"\r\n\r\n",
    b"small letters",
)


def now(model: Model, way: int, rng: random.Random, flags: int = ACK, payload: bytes = b"", by: int = 0) -> Segment:
    """Return what the sender would send next, `by` bytes from there, that acknowledges all it was sent."""
    other = 1 - way
    return Segment(
        flags,
        (model.end[way] + by) % 2**32,
        (model.end[other] + model.delta[other]) % 2**32,
        payload,
        window=rng.choice(WINDOWS),
        options=stamps(model, rng) if model.timestamps else (),
        tos=rng.choice((0, 0xB8, 2, 3)),
    )


def stamps(model: Model, rng: random.Random, lead: int | None = None) -> tuple[Option, ...]:
    """Return a timestamps option behind 0 to 3 NOPs: two is what everybody sends."""
    lead = rng.choice((0, 1, 2, 2, 2, 3)) if lead is None else lead
    value = rng.choice((*EDGES, rng.getrandbits(32)))
    return (*[(NOP, b"")] * lead, (TIMESTAMPS, (value, rng.choice((*EDGES, rng.getrandbits(32))))))


def text(rng: random.Random) -> bytes:
    return bytes(rng.choices(b"abcxyz", k=rng.choice((1, 2, 3, 7, 8, 100, 1399))))


def either(model: Model, rng: random.Random) -> int:
    """Return who speaks. Anything but a head, where one is expected, ends a guarded splice: seldom, then."""
    idle = model.guarded and ahead(model.head, model.end[UP]) <= 0
    return rng.choice((UP, DOWN, DOWN, DOWN, DOWN, DOWN) if idle else (UP, DOWN))


def data(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, now(model, way, rng, PSH | ACK, text(rng))


def acknowledged(model: Model, rng: random.Random) -> Sent:
    for way in (UP, DOWN):
        yield way, now(model, way, rng)


def old_or_new_acknowledgement(model: Model, rng: random.Random) -> Sent:
    way, sent = either(model, rng), now(model, 0, rng)
    by = rng.choice((-(2**31), -5000, -1, 0, 1, 5000, 2**31 - 1))
    yield way, Segment(ACK, model.end[way], (now(model, way, rng).ack + by) % 2**32, options=sent.options)


def again(model: Model, rng: random.Random) -> Sent:
    """A retransmission of some length from somewhere before: other bytes, as whoever is hostile sends."""
    way = either(model, rng)
    yield way, now(model, way, rng, PSH | ACK, text(rng), by=-rng.choice((1, 3, 8, 60, 100, 3000)))


def beyond_a_gap(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, now(model, way, rng, PSH | ACK, text(rng), by=rng.choice((1, 8, 1400)))


def selective(model: Model, rng: random.Random, blocks: int) -> Sent:
    way = either(model, rng)
    sent = now(model, way, rng)
    stamped = stamps(model, rng, lead=2 if blocks == 3 else None) if blocks < 4 and model.timestamps else ()
    edges = tuple((sent.ack + rng.choice((0, 10, rng.getrandbits(32)))) % 2**32 for _ in range(2 * blocks))
    lead = 0 if blocks == 3 and stamped else rng.randrange(3)
    yield way, Segment(ACK, sent.seq, sent.ack, options=(*stamped, *[(NOP, b"")] * lead, (SACK, edges)))


def blocks_of(blocks: int) -> Step:
    return lambda model, rng: selective(model, rng, blocks)


def unknown_options(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    sent = now(model, way, rng)
    odd: tuple[Option, ...] = ((rng.choice((19, 29, 253)), bytes(rng.choices(range(256), k=rng.choice((1, 2, 5))))),)
    yield way, Segment(ACK, sent.seq, sent.ack, options=(*odd, *stamps(model, rng, lead=1)))


def keep_alive_probe(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, now(model, way, rng, ACK, rng.choice((b"", b"\0")), by=-1)
    yield 1 - way, now(model, 1 - way, rng)


def window_probe(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield 1 - way, Segment(ACK, model.end[1 - way], now(model, 1 - way, rng).ack, window=0)
    yield way, now(model, way, rng, ACK, b"p")
    yield 1 - way, now(model, 1 - way, rng)


def half_close(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, now(model, way, rng, FIN | ACK)
    for _ in range(2):
        yield 1 - way, now(model, 1 - way, rng, PSH | ACK, text(rng))
        yield way, now(model, way, rng)


def simultaneous_close(model: Model, rng: random.Random) -> Sent:
    first, second = now(model, UP, rng, FIN | ACK), now(model, DOWN, rng, FIN | ACK)
    yield UP, first
    yield DOWN, second
    yield from acknowledged(model, rng)


def finish_with_data(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, now(model, way, rng, FIN | PSH | ACK, text(rng))


def finish_again(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    last = now(model, way, rng, FIN | ACK)
    yield way, last
    yield way, last
    yield 1 - way, now(model, 1 - way, rng)


def reset(model: Model, rng: random.Random, offsets: tuple[int, ...]) -> Sent:
    way = either(model, rng)
    expected = model.acked[1 - way] - model.delta[way]
    flags, ack = rng.choice(((RST, 0), (RST | ACK, now(model, way, rng).ack)))
    yield way, Segment(flags, (expected + rng.choice(offsets)) % 2**32, ack)


def reset_expected(model: Model, rng: random.Random) -> Sent:
    yield from reset(model, rng, (0,))
    yield from rng.choice((data, half_close, exchange, acknowledged))(model, rng)


def reset_under_way(model: Model, rng: random.Random) -> Sent:
    """Somewhere in what is not acknowledged, or behind it."""
    way = either(model, rng)
    sent = text(rng)
    yield way, now(model, way, rng, PSH | ACK, sent)
    yield from reset(model, rng, (0, 1, len(sent) - 1, len(sent), len(sent) + 1))
    yield from rng.choice((data, acknowledged, again))(model, rng)


def reset_not_expected(model: Model, rng: random.Random) -> Sent:
    yield from reset(model, rng, (-1, 1, -5000, 1000, 2**20, 2**31))
    yield from data(model, rng)


def begin_anew(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, Segment(rng.choice((SYN, SYN | ACK)), rng.getrandbits(32), rng.getrandbits(32), rng.choice((b"", HEAD)))


def urgent(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    sent = now(model, way, rng)
    yield way, Segment(URG | ACK, sent.seq, sent.ack, rng.choice((b"", HEAD)), urgent=rng.choice((0, 1, 6)))


def last_hop(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, Segment(ACK, model.end[way], model.acked[way], ttl=rng.choice((0, 1, 2)))


def damaged(model: Model, rng: random.Random) -> Sent:
    way = rng.choice((UP, DOWN))
    sent = now(model, way, rng)
    yield way, Segment(ACK, sent.seq, sent.ack, rng.choice((b"", b"x", HEAD)), error=rng.randrange(1, 0xFFFF))


def without_ack(model: Model, rng: random.Random) -> Sent:
    way = either(model, rng)
    yield way, Segment(rng.choice((0, PSH, FIN)), model.end[way], rng.getrandbits(32), text(rng))


def request(model: Model, rng: random.Random) -> Sent:
    """A request, or what looks like one, where the guard expects it or a little off."""
    payload = rng.choice((HEAD, *HEADS))
    sent = now(model, UP, rng)
    by = rng.choice((0, 0, 0, 0, 0, -1, 1))
    yield UP, Segment(PSH | ACK, (model.head + by) % 2**32, sent.ack, payload, options=sent.options)


def request_again(model: Model, rng: random.Random) -> Sent:
    """The head that was let through, whole, cut, changed, with more before or behind it."""
    start, head = model.mark
    body = b"z" * ((model.head - start - len(head)) % 2**32) if head else b""
    before = b"w" * rng.choice((0, 0, 1, 9))
    whole = rng.choice((head, head + body[:1300], head[1:], head[:-1], head.replace(b"/a", b"/b"), head[5:] + body[:3]))
    at = start - len(before) + rng.choice((0, 0, 0, 1))
    if whole:
        yield UP, Segment(PSH | ACK, at % 2**32, now(model, UP, rng).ack, before + whole)


def answer(model: Model, rng: random.Random) -> Sent:
    interim = rng.choice((ANSWER, ANSWER, LONG)).replace(b"200", b"103")
    said = rng.choice((ANSWER, ANSWER, interim, interim + ANSWER, ANSWER[:5], ANSWER[:12], b"body" * 4, LONG))
    yield DOWN, now(model, DOWN, rng, PSH | ACK, said)
    while rng.random() < 0.4:
        more = rng.choice((ANSWER, b"3\r\nabc\r\n0\r\n\r\n", b"0\r\n\r\n", LONG[:1000], LONG))
        yield DOWN, now(model, DOWN, rng, PSH | ACK, more, by=rng.choice((0, 0, 0, 0, 9)))
    yield UP, now(model, UP, rng)


def exchange(model: Model, rng: random.Random) -> Sent:
    """What the rest of all connections is: a request, its answer, the next."""
    if model.head == model.end[UP]:
        yield UP, now(model, UP, rng, PSH | ACK, HEAD)
    yield DOWN, now(model, DOWN, rng, PSH | ACK, ANSWER)
    yield UP, now(model, UP, rng)


def anything(model: Model, rng: random.Random) -> Sent:
    sent = Segment(rng.getrandbits(5), rng.getrandbits(32), rng.getrandbits(32), text(rng), rng.getrandbits(16))
    yield either(model, rng), sent


STEPS: dict[str, Step] = {
    **{f"sack_{blocks}": blocks_of(blocks) for blocks in (1, 2, 3, 4)},
    **{
        step.__name__: step
        for step in (
            *(data, acknowledged, old_or_new_acknowledgement, again, beyond_a_gap, unknown_options, keep_alive_probe),
            *(window_probe, half_close, simultaneous_close, finish_with_data, finish_again, reset_expected),
            *(
                reset_under_way,
                reset_not_expected,
                begin_anew,
                urgent,
                last_hop,
                damaged,
                without_ack,
                request,
                request_again,
            ),
            *(answer, exchange, anything),
        )
    },
}
