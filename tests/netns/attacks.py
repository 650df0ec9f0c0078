"""Attempts to reach what is forbidden through a spliced connection: what is sent, and the ways to send it.

The guard may take one thing for a head and the endpoint's TCP another: what one of them drops, orders or cuts
differently is what these ways are about.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tests.netns.hostile_tcp import Piece
from tests.netns.record_requests import field, requests_in

HOST = b"attacked.example.com"
ALLOWED_PATH, FORBIDDEN_PATH = b"/permitted", b"/forbidden"  # as long as each other


def request(line: bytes, *fields: bytes, host: bytes = HOST) -> bytes:
    return b"\r\n".join((line, b"Host: " + host, *fields, b"", b""))


ALLOWED = request(b"GET /permitted HTTP/1.1")
PLAIN = request(b"GET /forbidden HTTP/1.1")
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PLAIN), PLAIN)


def hidden(*fields: bytes, body: bytes = PLAIN) -> bytes:
    """Bytes behind an allowed head with these fields."""
    return request(b"POST /permitted HTTP/1.1", *fields) + body


HEADS = {
    "plain": PLAIN,
    "a path below": request(b"GET /forbidden/below HTTP/1.1"),
    "a query": request(b"GET /forbidden?a=b HTTP/1.1"),
    "in percent": request(b"GET /%66orbidden HTTP/1.1"),
    "its end in percent": request(b"GET /forbidde%6e HTTP/1.1"),
    "a dot segment": request(b"GET /./forbidden HTTP/1.1"),
    "through a parent": request(b"GET /permitted/../forbidden HTTP/1.1"),
    "through a parent in percent": request(b"GET /permitted/%2e%2e/forbidden HTTP/1.1"),
    "absolute form": request(b"GET http://attacked.example.com/forbidden HTTP/1.1"),
    "HTTP/1.0": request(b"GET /forbidden HTTP/1.0"),
    "HTTP/1.2": request(b"GET /forbidden HTTP/1.2"),
    "http/1.1": request(b"GET /forbidden http/1.1"),
    "a method in small letters": request(b"get /forbidden HTTP/1.1"),
    "a forbidden method": request(b"DELETE /permitted HTTP/1.1"),
    "a forbidden header": request(b"GET /permitted HTTP/1.1", b"X-Role: banned"),
    "a forbidden header in capitals": request(b"GET /permitted HTTP/1.1", b"X-ROLE:banned"),
    "a forbidden header with a tab": request(b"GET /permitted HTTP/1.1", b"X-Role:\tbanned"),
    "another host": request(b"GET /forbidden HTTP/1.1", host=b"classic.example.com"),
    "two hosts": request(b"GET /forbidden HTTP/1.1", b"Host: classic.example.com"),
    "no host": b"GET /forbidden HTTP/1.1\r\n\r\n",
    "two blanks": request(b"GET  /forbidden HTTP/1.1"),
    "a tab": request(b"GET\t/forbidden HTTP/1.1"),
    "a blank behind the version": request(b"GET /forbidden HTTP/1.1 "),
    "an empty line first": b"\r\n" + PLAIN,
    "a fold": request(b"GET /forbidden HTTP/1.1", b"X-A: b\r\n c"),
    "bare line feeds": PLAIN.replace(b"\r\n", b"\n"),
    "a bare line feed within": request(b"GET /permitted HTTP/1.1", b"X: y\n\nGET /forbidden HTTP/1.1"),
    "a bare carriage return": request(b"GET /permitted HTTP/1.1", b"X: y\r\rGET /forbidden HTTP/1.1"),
    "a zero byte": request(b"GET /forbidden\0 HTTP/1.1"),
    "a zero byte in a value": request(b"GET /forbidden HTTP/1.1", b"X: \0"),
    "a blank before a colon": hidden(b"Content-Length : 0"),
    "upgrade": request(b"GET /forbidden HTTP/1.1", b"Connection: upgrade", b"Upgrade: h2c"),
    "expect": request(b"POST /forbidden HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 0"),
    "connection names a field": request(b"GET /forbidden HTTP/1.1", b"Connection: X-Role, keep-alive"),
    "pipelined": ALLOWED + PLAIN,
    "pipelined third": ALLOWED + ALLOWED + PLAIN,
    "behind no body": hidden(b"Content-Length: 0"),
    "behind a body": hidden(b"Content-Length: 4", body=b"body" + PLAIN),
    "as a body, and behind it": hidden(b"Content-Length: %d" % len(PLAIN), body=PLAIN + PLAIN),
    "one byte in the body": hidden(b"Content-Length: 1"),
    "CL.TE": hidden(b"Content-Length: %d" % (5 + len(PLAIN)), b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + PLAIN),
    "TE.CL": hidden(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=CHUNKED),
    "TE.TE": hidden(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + PLAIN),
    "a coding nobody knows": hidden(b"Transfer-Encoding: xchunked", b"Content-Length: 0"),
    "a coding with a tab": hidden(b"Transfer-Encoding:\tchunked", b"Content-Length: 0"),
    "chunked": hidden(b"Transfer-Encoding: chunked", body=CHUNKED + PLAIN),
    "two lengths": hidden(b"Content-Length: 0", b"Content-Length: %d" % len(PLAIN)),
    "a list of lengths": hidden(b"Content-Length: 0, 0"),
    "a length with a sign": hidden(b"Content-Length: +0"),
    "a length in hexadecimal": hidden(b"Content-Length: 0x0"),
    "a length beyond 32 bits": hidden(b"Content-Length: 4294967296"),
    "a length beyond 64 bits": hidden(b"Content-Length: 18446744073709551616"),
    "a length with nothing": hidden(b"Content-Length:"),
    "a length of many zeros": hidden(b"Content-Length: " + b"0" * 30),
    "behind a long head": request(b"GET /permitted HTTP/1.1", b"X: " + b"y" * 940) + PLAIN,
    "a long head": request(b"GET /forbidden HTTP/1.1", b"X: " + b"y" * 1100),
    "a head of many fields": request(b"GET /forbidden HTTP/1.1", *(b"X%d: y" % n for n in range(60))),
}


@dataclass(frozen=True)
class Attempt:
    way: str
    head: str
    pieces: tuple[Piece, ...]


def decoy(data: bytes) -> bytes:
    """An allowed head, as long as `data` where that can be."""
    spare = len(data) - len(ALLOWED) - len(b"X: \r\n")
    return ALLOWED if spare < 0 else request(b"GET /permitted HTTP/1.1", b"X: " + b"y" * spare)


def cut(data: bytes, *places: int) -> list[Piece]:
    ends = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    return [Piece(start, data[start:end]) for start, end in zip(ends, ends[1:], strict=False)]


# How a segment is made that the endpoint's TCP does not take, though it is whole: keywords of Piece.
UNTAKEN: dict[str, dict[str, object]] = {
    "a wrong checksum": {"checksum": 1},
    "a checksum left open": {"checksum": "open"},
    "an old timestamp": {"clock": -100_000_000},
    "a timestamp far ahead": {"clock": 1_900_000_000},
    "no timestamp": {"clock": None},
    "no ACK": {"flags": "P"},
    "an acknowledgement of the future": {"ack": 1_000_000},
    "an old acknowledgement": {"ack": -20},
    "a very old acknowledgement": {"ack": -1_000_000_000},
    "an MD5 option": {"options": ((19, b"\0" * 16),)},
    "an AO option": {"options": ((29, b"\0" * 14),)},
    "a SYN": {"flags": "SA"},
    "a bare SYN": {"flags": "S"},
    "urgent": {"flags": "PAU", "urgent": 8},
    "an urgent pointer alone": {"urgent": 8},
    "a RST": {"flags": "RA"},
    "a FIN": {"flags": "FPA"},
    "all flags": {"flags": "FSRPAU"},
    "no flags": {"flags": ""},
    "a hop too few": {"ttl": 2},
    "the last hop": {"ttl": 3},
}


def untaken(oddity: str, at: int, data: bytes) -> Piece:
    return Piece(at, data, **UNTAKEN[oddity])  # type: ignore[arg-type]


def cuts(data: bytes) -> Iterator[tuple[str, list[Piece]]]:
    size = len(data)
    blank, line = data.find(b" "), data.find(b"\r\n")
    named = {"1": 1, "the method": max(blank, 1), "the slash": blank + 1, "the path": blank + 8}
    named["the line"] = max(line, 2)
    named |= {"the middle": size // 2, "-1": size - 1, "-2": size - 2, "-3": size - 3, "-4": size - 4}
    for name, place in named.items():
        yield f"cut at {name}", cut(data, place)
    yield "byte by byte", cut(data, *range(1, size)) if size < 120 else cut(data, *range(16, size, 16))
    yield "in order, the ends first", [*cut(data, 10, size - 10)[::2], *cut(data, 10, size - 10)]
    yield "two, backwards", cut(data, size // 2)[::-1]
    yield "four, backwards", cut(data, size // 4, size // 2, 3 * size // 4)[::-1]
    yield "the last byte first", cut(data, size - 1)[::-1]


def overlaps(data: bytes) -> Iterator[tuple[str, list[Piece]]]:
    half, good = len(data) // 2, decoy(data)
    whole = Piece(0, data)
    yield "what is allowed, then this", [Piece(0, good), whole]
    yield "the end, then what is allowed", [Piece(half, data[half:]), Piece(0, good), whole]
    yield "the beginning, then what is allowed", [Piece(0, data[:half]), Piece(0, good), Piece(half, data[half:])]
    yield "half of what is allowed, then this", [Piece(0, good[:half]), whole]
    yield "what is allowed, then this from its 2nd byte", [Piece(0, good), Piece(1, data[1:]), whole]
    yield "what is allowed, then more than it", [Piece(0, good), Piece(0, good + data)]
    yield "this from before", [Piece(-40, b"x" * 40 + data)]
    yield "what is allowed from before, then this", [Piece(-40, b"x" * 40 + good), whole]
    yield "this where the last request was", [Piece(-len(ALLOWED), data)]
    yield "this where the last request was, and on", [Piece(-10, data)]


def untaken_ways(data: bytes) -> Iterator[tuple[str, list[Piece]]]:
    good = decoy(data)
    for oddity in UNTAKEN:
        first = untaken(oddity, 0, good)
        yield f"allowed with {oddity}, then this", [first, Piece(0, data)]
        yield f"this with {oddity}, then allowed, then this", [untaken(oddity, 0, data), Piece(0, good), Piece(0, data)]
        yield f"allowed with {oddity}, then this in its middle", [first, Piece(5, data[5:]), Piece(0, good[:5])]


def numbers(data: bytes) -> Iterator[tuple[str, list[Piece]]]:
    good, size = decoy(data), len(data)
    long = request(b"POST /permitted HTTP/1.1", b"Content-Length: 900000000")
    short = request(b"POST /permitted HTTP/1.1", b"Content-Length: 10")
    for far in (1, 2, 1000, 100_000, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, -1000, -(1 << 30)):
        yield f"{far} bytes off", [Piece(far, data), Piece(0, good), Piece(far, data)]
    yield "first what follows", [Piece(len(good), data), Piece(0, good)]
    yield "first what follows, twice", [Piece(len(good), data), Piece(len(good) + size, data), Piece(0, good)]
    for oddity in ("no ACK", "an old timestamp", "a checksum left open"):
        lost = untaken(oddity, 0, long)
        yield f"a long body announced with {oddity}", [lost, Piece(0, good + data), Piece(0, data), Piece(0, good)]
        yield f"within a body announced with {oddity}", [lost, Piece(len(good), data), Piece(0, good)]
    yield "within a body, then another head for it", [Piece(len(short), data), Piece(0, short), Piece(len(short), data)]
    yield "where a body ends", [Piece(0, short), Piece(len(short) + 10, data), Piece(len(short), b"0123456789")]
    yield "over a body's end", [Piece(0, short), Piece(len(short), b"0123456789" + data)]


def endings(data: bytes) -> Iterator[tuple[str, list[Piece]]]:
    good, whole = decoy(data), Piece(0, data)
    yield "with a FIN", [Piece(0, data, "FPA")]
    yield "after a FIN", [Piece(0, b"", "FA"), Piece(1, data), whole]
    yield "a FIN beyond it", [Piece(len(data), b"", "FA"), whole]
    yield "after an allowed one with a FIN", [Piece(0, good, "FPA"), Piece(len(good), data), Piece(len(good) + 1, data)]
    yield "after a RST", [Piece(0, b"", "R"), whole]
    yield "after a RST with a wrong checksum", [Piece(0, b"", "RA", checksum=1), whole, Piece(0, good), whole]
    yield "after a RST that is old", [Piece(0, b"", "RA", clock=-100_000_000), whole, Piece(0, good), whole]
    yield "after a RST beyond", [Piece(5, b"", "RA"), whole]
    yield "after a RST of another number", [Piece(1 << 30, b"", "R"), whole]
    yield "after a SYN", [Piece(0, b"", "S"), whole]
    yield "after a SYN and a RST", [Piece(0, b"", "R", checksum=1), Piece(0, b"", "S"), Piece(1, data), whole]
    yield "an allowed one with a FIN of a wrong checksum", [Piece(0, good, "FPA", checksum=1), whole, Piece(1, data)]
    yield "while it comes back", [Piece(0, PLAIN), Piece(0, good), Piece(0, data), Piece(0, data, pause=0.15)]


def attempts() -> list[Attempt]:
    """All of them: every way with some heads, and every head in some ways."""
    found = []
    for head in ("plain", "pipelined"):
        for ways in (cuts, overlaps, untaken_ways, numbers, endings):
            found += [Attempt(way, head, tuple(pieces)) for way, pieces in ways(HEADS[head])]
    for head, data in HEADS.items():
        good, size = decoy(data), len(data)
        found += [
            Attempt("whole", head, (Piece(0, data),)),
            Attempt("halves", head, tuple(cut(data, size // 2))),
            Attempt("halves, backwards", head, tuple(cut(data, size // 2)[::-1])),
            Attempt("behind an allowed one that is not taken", head, (untaken("no ACK", 0, good), Piece(0, data))),
            Attempt("right behind an allowed one", head, (Piece(0, ALLOWED), Piece(len(ALLOWED), data))),
        ]
    return [attempt for attempt in found if all(len(piece.data) <= 1400 for piece in attempt.pieces)]


def path_of(target: bytes) -> bytes:
    """The path that a lenient reader finds in a request's target."""
    path = unquote_to_bytes(re.sub(rb"^[a-z]+://[^/]*", b"", target).partition(b"?")[0])
    return posixpath.normpath(path)


def violation(stream: bytes) -> str:
    """What an endpoint has got on a connection that it never should have; empty when all is as it must be."""
    heads, _, rest = requests_in(stream)
    for head in heads:
        words = re.split(rb"[ \t]+", head.partition(b"\n")[0].strip())
        if len(words) < 2 or path_of(words[1]).startswith(FORBIDDEN_PATH):
            return f"a forbidden path: {head!r}"
        if not field(head, b"x-forwarded-for") and not _is_plain(head, words):
            return f"what nobody has decided: {head!r}"
    return f"a part of a head: {rest[:200]!r}" if rest else ""


def _is_plain(head: bytes, words: list[bytes]) -> bool:
    """Is a head, which no worker has seen, one of those that were decided to be carried?"""
    is_allowed = words[0] in (b"GET", b"POST") and words[1:] == [ALLOWED_PATH, b"HTTP/1.1"]
    is_odd = re.search(rb"[^\r]\n|\r[^\n]|\n[ \t]|\0|banned", head) or field(head, b"transfer-encoding")
    return is_allowed and field(head, b"host") == [HOST] and not is_odd
