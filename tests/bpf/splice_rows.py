"""Packet rows of a splice: everything that has to be another number on the other leg, and what is not let through."""

from ctypes import c_uint32, c_uint64

from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet, Raw

from tests.bpf.gateway_rows import LADDR, VM, inner_frame, to_vm, tunnel
from tests.bpf.splice_machine import (
    C_ACK,
    C_SEQ,
    CLIENT,
    CLIENT6,
    DOWN_SEQ,
    ENDPOINT,
    ENDPOINT6,
    EPOCH,
    FACTOR,
    HEAD,
    S_ACK,
    S_SEQ,
    SEED,
    SELF,
    SELF6,
    UP_SEQ,
    carried,
    from_client,
    from_endpoint,
    guard,
    hashed,
    to_client,
    to_endpoint,
)
from tests.packets import TC_ACT_REDIRECT, Case, Entry, Onward, arrives, dropped, passed, tcp
from userspace.node import abi
from userspace.node.abi import DropReason, Event
from userspace.node.splice_abi import Flag, GuardKey, GuardPath, Kind, State

# (the far end's number, ours): what both legs call the same byte
NEAR_WRAP = 2**32 - 3


def up(name: str, sent: object, arrives_as: object, **splice_fields: object) -> Case:
    return Case(f"splice: {name}", sent, TC_ACT_REDIRECT, Onward(arrives_as), carried(**splice_fields))  # type: ignore[arg-type]


def stamps(value: int, echo: int) -> list[tuple[str, object]]:
    return [("NOP", None), ("NOP", None), ("Timestamp", (value, echo))]


def sack(*edges: int, lead: int = 2) -> list[tuple[str, object]]:
    """Return SACK blocks behind `lead` NOPs: at an odd offset when there is one."""
    return [*[("NOP", None)] * lead, ("SAck", edges)]  # type: ignore[list-item]


CLOCKS = {"flags": Flag.TIMESTAMPS | Flag.TS_UP | Flag.TS_DOWN, "clock": (50, 2**32 - 20)}

TRANSLATION = (
    up("bytes of the client", from_client(payload=b"hello"), to_endpoint(payload=b"hello")),
    up("bytes of the endpoint", from_endpoint(payload=b"world"), to_client(payload=b"world")),
    up("a bare acknowledgement", from_client("A"), to_endpoint("A")),
    up("a reset without ack has none to change", from_client("R", ack=0), to_endpoint("R", ack=0)),
    up("urgent data", from_client("PAU", b"x", urgptr=1), to_endpoint("PAU", b"x", urgptr=1)),
    up("FIN of the client", from_client("FA"), to_endpoint("FA")),
    up("FIN of the endpoint", from_endpoint("FA"), to_client("FA")),
    up("DSCP and ECT stay", from_client("A", tos=0xBA), to_endpoint("A", tos=0xBA)),
    up("a keep-alive probe", from_client("A", seq=C_SEQ - 1), to_endpoint("A", seq=S_SEQ - 1)),
    up(
        "a number about to wrap",
        from_client("PA", b"abcdef", NEAR_WRAP),
        to_endpoint("PA", b"abcdef", NEAR_WRAP + UP_SEQ),
    ),
    up("an ack that wraps below zero", from_endpoint("A", ack=5), to_client("A", ack=5 - UP_SEQ)),
    up("a seq that wraps below zero", from_endpoint("A", seq=3999), to_client("A", seq=3999 + DOWN_SEQ)),
)
WINDOWS = tuple(
    up(
        f"window {window} from shift {told} to {tells}",
        from_client("A", window=window),
        to_endpoint("A", window=expected),
        scale_from=(told, 7),
        scale_to=(tells, 7),
    )
    for window, told, tells, expected in (
        (0, 7, 7, 0),
        (1, 7, 7, 1),
        (65535, 7, 7, 65535),
        (100, 0, 14, 1),
        (1, 0, 14, 1),
        (0, 0, 14, 0),
        (4, 14, 0, 65535),
        (3, 14, 0, 49152),
        (1000, 7, 2, 32000),
        (1000, 2, 7, 31),
    )
)
OPTIONS = (
    up(
        "timestamps",
        from_client("A", options=stamps(1000, 2000)),
        to_endpoint("A", options=stamps(1050, 2020)),
        **CLOCKS,
    ),
    up(
        "timestamps back",
        from_endpoint("A", options=stamps(1000, 2000)),
        to_client("A", options=stamps(980, 1950)),
        **CLOCKS,
    ),
    up(
        "timestamps that wrap",
        from_client("A", options=stamps(2**32 - 10, 5)),
        to_endpoint("A", options=stamps(40, 25)),
        **CLOCKS,
    ),
    up(
        "timestamps at an odd offset",
        from_client("A", options=[("NOP", None), ("Timestamp", (1000, 2000)), ("NOP", None)]),
        to_endpoint("A", options=[("NOP", None), ("Timestamp", (1050, 2020)), ("NOP", None)]),
        **CLOCKS,
    ),
    up(
        "an echo whose clock is not known yet is none",
        from_endpoint("A", options=stamps(1000, 2000)),
        to_client("A", options=stamps(980, 0)),
        flags=Flag.TIMESTAMPS | Flag.TS_DOWN,
        clock=(0, 2**32 - 20),
    ),
    up(
        "timestamps that were not agreed on stay",
        from_client("A", options=stamps(1, 2)),
        to_endpoint("A", options=stamps(1, 2)),
    ),
    *(
        up(
            f"{blocks} SACK blocks behind {lead} NOPs",
            from_client("A", options=sack(*edges, lead=lead)),
            to_endpoint("A", options=sack(*[edge - DOWN_SEQ for edge in edges], lead=lead)),
        )
        for blocks in (1, 2, 3, 4)
        for lead in (0, 1, 2)
        for edges in [[C_ACK + 100 * n for n in range(1, 2 * blocks + 1)]]
    ),
    up(
        "SACK of the endpoint",
        from_endpoint("A", options=sack(S_SEQ + 10, S_SEQ + 20)),
        to_client("A", options=sack(C_SEQ + 10, C_SEQ + 20)),
    ),
    up(
        "timestamps and SACK",
        from_client("A", options=[*stamps(1000, 2000), *sack(5100, 5200, 5300, 5400, 5500, 5600)]),
        to_endpoint("A", options=[*stamps(1050, 2020), *sack(9100, 9200, 9300, 9400, 9500, 9600)]),
        **CLOCKS,
    ),
    up(
        "an option nobody knows",
        from_client("A", options=[(253, b"\x12\x34"), ("NOP", None), ("NOP", None), ("NOP", None), ("NOP", None)]),
        to_endpoint("A", options=[(253, b"\x12\x34"), ("NOP", None), ("NOP", None), ("NOP", None), ("NOP", None)]),
    ),
)

V6_IN = arrives(tcp(CLIENT6, 50000, SELF6, 80, "PA", seq=C_SEQ, ack=C_ACK) / Raw(b"six"))
V6_OUT = tcp(SELF6, 40000, ENDPOINT6, 8080, "PA", seq=S_SEQ, ack=S_ACK, ttl=63) / Raw(b"six")
FROM_VM = tunnel(inner_frame(tcp("192.168.0.10", 80, "198.18.1.1", 6000, "PA", seq=S_ACK, ack=S_SEQ) / Raw(b"vm")))
WAYS = (
    up("IPv6", V6_IN, V6_OUT, v6=True),
    Case(
        "splice: to an endpoint in a VPC",
        from_client(payload=b"vpc"),
        TC_ACT_REDIRECT,
        to_vm("PA", b"vpc", seq=S_SEQ, ack=S_ACK, ttl=63),
        carried(vpc=True),
        {Event.ENCAP: 1},
    ),
    Case(
        "splice: from an endpoint in a VPC",
        FROM_VM,
        TC_ACT_REDIRECT,
        Onward(to_client("PA", b"vm")),
        carried(vpc=True),
        {Event.DECAP: 1},
    ),
    dropped(
        "splice: the endpoint's unique IP has another owner",
        from_client(payload=b"vpc"),
        DropReason.STALE_ENDPOINT,
        *carried(vpc=True),
        Entry("endpoints", abi.addr("100.64.0.1"), abi.Endpoint(addr=abi.addr("192.168.0.99"), vni=10010)),
    ),
    dropped("splice: TTL 1", from_client("A", ttl=1), DropReason.TTL_EXPIRED, *carried()),
    passed("splice: another generation's end is none", from_client("A"), *carried(generation=42)),
    passed("splice: a free slot is none", from_client("A"), *carried(state=State.FREE)),
    passed("splice: another flow is the stack's", arrives(tcp(CLIENT, 50001, SELF, 80, "A")), *carried()),
)

STATES = (
    passed(
        "splice: tail: its acknowledgement is the socket's",
        from_client("A", ack=C_ACK - 10),
        *carried(state=State.TAIL),
    ),
    passed("splice: tail: complete, and still the socket's", from_client("A"), *carried(state=State.TAIL)),
    up(
        "tail: bytes of the client go on",
        from_client("PA", b"x", ack=C_ACK - 10),
        to_endpoint("PA", b"x", ack=S_ACK - 10),
        state=State.TAIL,
    ),
    up("tail: the endpoint's go on", from_endpoint("PA", b"x"), to_client("PA", b"x"), state=State.TAIL),
    dropped(
        "splice: on its way back: the client waits",
        from_client("PA", b"x"),
        DropReason.SPLICE_HELD,
        *carried(state=State.BACK, deadline_ns=2**63),
    ),
    dropped(
        "splice: on its way back: the endpoint is silent",
        from_endpoint("PA", b"x"),
        DropReason.SPLICE_HELD,
        *carried(state=State.BACK, deadline_ns=1),
    ),
    passed(
        "splice: on its way back, and nobody took it: the stack resets",
        from_client("PA", b"x"),
        *carried(state=State.BACK, deadline_ns=1),
    ),
    passed("splice: closed: a SYN begins anew", from_client("S", ack=0), *carried(state=State.CLOSED)),
    up("closed: a repeated FIN", from_client("FA"), to_endpoint("FA"), state=State.CLOSED),
    *(
        up(
            f"a SYN on a living one is a probe: {flags}",
            from_client(flags, seq=seq, ack=0),
            to_endpoint("A", seq=S_SEQ - 1),
        )
        for flags, seq in (("S", C_SEQ - 3000), ("S", C_SEQ), ("SA", C_SEQ), ("SF", C_SEQ), ("SEC", C_SEQ))
    ),
    up("a SYN while the tail is under way is a probe", from_client("S"), to_endpoint("A", seq=S_SEQ - 1), state=1),
    dropped("splice: bytes in a SYN", from_client("S", b"x"), DropReason.SPLICE_ORDER, *carried()),
)

GUARDED = {"kind": Kind.GUARDED}
BACK = {DropReason.SPLICE_HELD: 1}
POST = HEAD.replace(b"GET", b"POST")[:-2] + b"Content-Length: 5\r\n\r\n"


def forwards(name: str, payload: bytes, *before: Entry, **fields: object) -> Case:
    entries = (*carried(**GUARDED | fields), *before)
    return Case(
        f"guard: {name}", from_client(payload=payload), TC_ACT_REDIRECT, Onward(to_endpoint(payload=payload)), entries
    )


def back(name: str, payload: bytes, *before: Entry, **fields: object) -> Case:
    """A row whose packet is not forwarded, as the connection goes back to user space with it."""
    return Case(f"guard: {name}", from_client(payload=payload), 2, None, (*carried(**GUARDED | fields), *before), BACK)


def headed(*lines: bytes, first: bytes = b"GET /a?x=1 HTTP/1.1", host: bytes = b"Host: shop.example") -> bytes:
    return b"\r\n".join([first, host, b"Cookie: s=1", b"User-Agent: t", *lines, b"", b""])


COVERED = (
    forwards("the same head", HEAD),
    forwards("a new epoch of another account", HEAD, Entry("splice_epochs", c_uint32(1), c_uint64(1))),
    forwards("made under both epochs", HEAD, Entry("splice_epochs", c_uint32(2), c_uint64(5)), epoch=EPOCH + 5),
    forwards("headers that nothing depends on", headed(b"Accept: */*", b"X-Any: \xc3\xa9")),
    forwards("names in any case", HEAD.replace(b"Cookie", b"cOOKIE")),
    forwards("blanks before a value", HEAD.replace(b"Cookie: ", b"Cookie: \t ")),
    forwards("an attribute outside the mask", HEAD.replace(b"s=1", b"s=2"), guard=guard(mask=0x7F & ~16)),
    forwards("keep-alive in any case", headed(b"Connection: Keep-Alive")),
    forwards("a body in the same packet", POST + b"12345", guard=guard(method=b"POST")),
    forwards("a body that is still to come", POST, guard=guard(method=b"POST")),
    forwards("part of a body", POST + b"12", guard=guard(method=b"POST")),
    forwards(
        "another path of the same decision",
        HEAD.replace(b"/a", b"/b"),
        Entry("guard_paths", GuardPath(decision=99, path=hashed(b"/b")), c_uint32(1)),
    ),
    forwards("no query where there was none", HEAD.replace(b"?x=1", b""), guard=guard(query=None)),
    forwards("a header of one's own", headed(b"X-Tenant: blue"), guard=guard(mask=0xFF, extra=b"blue")),
)
_COVERED_EXTRA = COVERED[-1].before
for _entry in _COVERED_EXTRA:
    if _entry.table == "splices":
        _entry.value.guard.extra_name = hashed(b"x-tenant")  # type: ignore[attr-defined]

HANDED_BACK = (
    back("another method", HEAD.replace(b"GET", b"HEAD")),
    back("another host", HEAD.replace(b"shop", b"shoq")),
    back("another path", HEAD.replace(b"/a", b"/b")),
    back(
        "a path of another decision",
        HEAD.replace(b"/a", b"/b"),
        Entry("guard_paths", GuardPath(decision=98, path=hashed(b"/b")), c_uint32(1)),
    ),
    back("another query", HEAD.replace(b"x=1", b"x=2")),
    back("a query where there was none", HEAD, guard=guard(query=None)),
    back("an empty query is not none", HEAD.replace(b"x=1", b""), guard=guard(query=None)),
    back("another cookie", HEAD.replace(b"s=1", b"s=2")),
    back("no cookie", HEAD.replace(b"Cookie: s=1\r\n", b"")),
    back("an empty cookie is not none", HEAD.replace(b"s=1", b""), guard=guard(cookie=None)),
    back("another user agent", HEAD.replace(b"t\r\n\r\n", b"u\r\n\r\n")),
    back("credentials where there were none", headed(b"Authorization: x")),
    back("two hosts", headed(b"Host: shop.example")),
    back("two cookies", headed(b"Cookie: s=1")),
    back("two lengths", headed(b"Content-Length: 5", b"Content-Length: 5")),
    back("no host", HEAD.replace(b"Host: shop.example\r\n", b"")),
    *(
        back(name, headed(line))
        for name, line in (
            ("chunked", b"Transfer-Encoding: chunked"),
            ("chunked in any case", b"tRANSFER-eNCODING: chunked"),
            ("upgrade", b"Upgrade: websocket"),
            ("expect", b"Expect: 100-continue"),
            ("te", b"TE: trailers"),
            ("trailer", b"Trailer: x"),
            ("connection close", b"Connection: close"),
            ("connection options", b"Connection: keep-alive, x"),
            ("an empty connection", b"Connection:"),
            ("an empty length", b"Content-Length:"),
            ("a length with a sign", b"Content-Length: +5"),
            ("a length in hex", b"Content-Length: 0x5"),
            ("a list of lengths", b"Content-Length: 5, 5"),
            ("a length with a blank behind", b"Content-Length: 5 "),
            ("a length beyond all bounds", b"Content-Length: 99999999999"),
            ("a name with a blank behind", b"X-A : b"),
            ("a length behind such a name", b"Content-Length : 5"),
            ("a folded line", b"X-A: b\r\n c"),
            ("a line of blanks", b" "),
            ("a line without colon", b"X-A"),
            ("no name", b": b"),
            ("a bare line feed", b"X-A: b\nTransfer-Encoding: chunked"),
            ("a bare carriage return", b"X-A: b\rc"),
            ("a zero byte", b"X-A: b\0c"),
            ("a delete", b"X-A: b\x7fc"),
            ("a name beyond ASCII", b"X-\xc3\xa9: b"),
            ("a name in quotes", b'"X": b'),
        )
    ),
    *(
        back(name, headed(first=first))
        for name, first in (
            ("HTTP/1.0", b"GET /a?x=1 HTTP/1.0"),
            ("HTTP/2.0", b"GET /a?x=1 HTTP/2.0"),
            ("http in small letters", b"GET /a?x=1 http/1.1"),
            ("no version", b"GET /a?x=1"),
            ("an absolute form", b"GET http://shop.example/a?x=1 HTTP/1.1"),
            ("an asterisk", b"OPTIONS * HTTP/1.1"),
            ("two blanks", b"GET  /a?x=1 HTTP/1.1"),
            ("two blanks before the version", b"GET /a?x=1  HTTP/1.1"),
            ("a tab", b"GET\t/a?x=1 HTTP/1.1"),
            ("a fragment", b"GET /a?x=1#f HTTP/1.1"),
            ("a path beyond ASCII", b"GET /\xc3\xa9 HTTP/1.1"),
            ("a small method", b"get /a?x=1 HTTP/1.1"),
            ("a version with a blank", b"GET /a?x=1 HTTP/1.1 "),
        )
    ),
    back("an empty line first", b"\r\n" + HEAD),
    back("half a head", HEAD[:20]),
    back("a head but for its last byte", HEAD[:-1]),
    back("one byte", b"G"),
    back("two heads", HEAD + HEAD),
    back("a head and one byte more", HEAD + b"G"),
    back("a body and one byte more", POST + b"123456", guard=guard(method=b"POST")),
    back("more than a kilobyte of head", headed(b"X-A: " + b"x" * 1100)),
    back("more headers than are counted", headed(*[b"A: b"] * 40)),
    back("a new epoch", HEAD, Entry("guard_key", c_uint32(0), GuardKey(seed=SEED, factor=FACTOR, epoch=EPOCH + 1))),
    back("a new epoch of its account", HEAD, Entry("splice_epochs", c_uint32(2), c_uint64(1))),
    back("no TLS either", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
)


def judged(name: str, packet: object, reason: DropReason, **fields: object) -> Case:
    return dropped(f"guard: {name}", packet, reason, *carried(**GUARDED | fields))  # type: ignore[arg-type]


BAD_SUM = from_client(payload=HEAD)
BAD_SUM["TCP"].chksum = 0x1234
OTHER_PATH = HEAD.replace(b"/a", b"/b")
IN_ORDER = (
    judged("a head with an urgent byte in it", from_client("PAU", HEAD, urgptr=6), DropReason.SPLICE_ORDER),
    judged("an urgent pointer ahead of its byte", from_client("AU", urgptr=6), DropReason.SPLICE_ORDER),
    judged("a head in a SYN", from_client("SPA", HEAD), DropReason.SPLICE_ORDER),
    judged("another head once closed", from_client(payload=OTHER_PATH), DropReason.SPLICE_HELD, state=State.CLOSED),
    judged("a head beyond a gap", from_client(payload=HEAD, seq=C_SEQ + 1), DropReason.SPLICE_ORDER),
    judged(
        "a head that begins before the place", from_client(payload=b"x" + HEAD, seq=C_SEQ - 1), DropReason.SPLICE_ORDER
    ),
    judged("a head with a bad checksum", BAD_SUM, DropReason.SPLICE_CHECKSUM),
    judged("a head while another is unanswered", from_client(payload=HEAD), DropReason.SPLICE_EARLY, flags=Flag.AWAITS),
    judged(
        "a head before the response is acknowledged",
        from_client(payload=HEAD, ack=C_ACK - 1),
        DropReason.SPLICE_EARLY,
        acked=(C_ACK - 1, S_SEQ),
    ),
    judged(
        "a head before the endpoint has acknowledged the last",
        from_client(payload=HEAD),
        DropReason.SPLICE_EARLY,
        acked=(C_ACK, S_SEQ - 1),
    ),
    judged(
        "a head that may not go back yet",
        from_client(payload=HEAD.replace(b"/a", b"/b")),
        DropReason.SPLICE_EARLY,
        flags=Flag.AWAITS,
    ),
    Case(
        "guard: bytes of a body are nobody's business",
        from_client(payload=HEAD),
        TC_ACT_REDIRECT,
        Onward(to_endpoint(payload=HEAD)),
        carried(**GUARDED | {"head": C_SEQ + 500}),
    ),
    Case(
        "guard: the last bytes of a body",
        from_client(payload=b"xyz"),
        TC_ACT_REDIRECT,
        Onward(to_endpoint(payload=b"xyz")),
        carried(**GUARDED | {"head": C_SEQ + 3}),
    ),
    judged(
        "a body that goes on with a head", from_client(payload=b"xyz" + HEAD), DropReason.SPLICE_ORDER, head=C_SEQ + 3
    ),
    Case("guard: a FIN alone", from_client("FA"), TC_ACT_REDIRECT, Onward(to_endpoint("FA")), carried(**GUARDED)),
)


def about(packet: Packet, quoted: int, dst: str, src: str = "10.9.9.1", ttl: int = 64) -> Packet:
    """Return an ICMP "fragmentation needed" that quotes the IP packet's header and `quoted` bytes more."""
    quote = Raw(bytes(packet)[: 20 + quoted])
    return IP(src=src, dst=dst, ttl=ttl) / ICMP(type=3, code=4, nexthopmtu=1400) / quote


OUT_TO_ENDPOINT = to_endpoint("A", b"x" * 40, ttl=60)
SENT_BY_CLIENT = tcp(CLIENT, 50000, SELF, 80, "A", seq=C_SEQ, ack=S_ACK, ttl=60) / Raw(b"x" * 40)
OUT_TO_CLIENT = to_client("A", b"x" * 40, ttl=60)
SENT_BY_ENDPOINT = tcp(ENDPOINT, 8080, SELF, 40000, "A", seq=S_ACK, ack=C_SEQ, ttl=60) / Raw(b"x" * 40)
QUOTES = tuple(
    Case(
        f"splice: an error about what went to the {end}, {quoted} bytes of it quoted",
        arrives(about(wrong, quoted, dst=SELF)),
        TC_ACT_REDIRECT,
        Onward(about(right, quoted, src=SELF, dst=sender, ttl=63)),
        carried(),
        {Event.ICMP_TRANSLATED: 1},
    )
    for quoted in (8, 12, 20, 40)
    for end, wrong, right, sender in (
        ("endpoint", OUT_TO_ENDPOINT, SENT_BY_CLIENT, CLIENT),
        ("client", OUT_TO_CLIENT, SENT_BY_ENDPOINT, ENDPOINT),
    )
)
VM_ERROR = (
    IP(src=VM, dst=LADDR) / ICMP(type=3, code=3) / Raw(bytes(tcp(LADDR, 6000, VM, 80, "A", seq=S_SEQ, ack=S_ACK)))
)
ERRORS = (
    *QUOTES,
    Case(
        "splice: an error out of a VPC",
        tunnel(inner_frame(VM_ERROR)),
        TC_ACT_REDIRECT,
        Onward(
            IP(src=SELF, dst=CLIENT, ttl=63)
            / ICMP(type=3, code=3)
            / Raw(bytes(tcp(CLIENT, 50000, SELF, 80, "A", seq=C_SEQ, ack=S_ACK)))
        ),
        carried(vpc=True),
        {Event.DECAP: 1, Event.ICMP_TRANSLATED: 1},
    ),
    passed(
        "splice: an error about another flow", arrives(about(tcp(SELF, 1, ENDPOINT, 2, "A"), 20, dst=SELF)), *carried()
    ),
    passed(
        "splice: an error to somebody else than it quotes",
        arrives(about(OUT_TO_ENDPOINT, 20, dst="10.0.0.11")),
        *carried(),
    ),
)

ROWS = (*ERRORS, *TRANSLATION, *WINDOWS, *OPTIONS, *WAYS, *STATES, *COVERED, *HANDED_BACK, *IN_ORDER)
