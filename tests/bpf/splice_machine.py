"""One splice, and what its two ends send: numbers are chosen so that every difference is easy to see.

The client 203.0.113.7:50000 speaks to 10.0.0.10:80. It is at 1000 and has been sent up to 5000. Our socket to the
endpoint is at 700,000 and has received up to 9000. So client to endpoint: seq + 699,000, ack + 4000; back: seq - 4000,
ack - 699,000.
"""

from ctypes import c_uint32, c_uint64

from scapy.packet import Packet, Raw

from tests.bpf.gateway_rows import BLUE, LADDR, MACHINE, UNIQUE, VM, VPC
from tests.packets import Entry, arrives, flow, tcp
from userspace.http import footprint
from userspace.node import abi
from userspace.node.abi import Direction
from userspace.node.head_table import head_table
from userspace.node.splice_abi import (
    Answer,
    Attribute,
    Flag,
    Guard,
    GuardKey,
    GuardTable,
    Header,
    Kind,
    Splice,
    SpliceEnd,
    State,
)

CLIENT, SELF, ENDPOINT = "203.0.113.7", "10.0.0.10", "10.0.9.9"
CLIENT6, SELF6, ENDPOINT6 = "2001:db8:7::7", "2001:db8::10", "2001:db8:9::9"
C_SEQ, C_ACK, S_SEQ, S_ACK = 1000, 5000, 700_000, 9000
UP_SEQ, DOWN_SEQ = 699_000, -4000
ID, GENERATION, EPOCH = 3, 41, 7
SEED, FACTOR = 0x0123456789ABCDEF, 0x9E3779B97F4A7C15 | 1
MASK = 2**32 - 1
PLAIN_MACHINE = abi.Machine.from_buffer_copy(bytes(MACHINE))
PLAIN_MACHINE.mtu = 1500

HEAD = b"GET /a?x=1 HTTP/1.1\r\nHost: shop.example\r\nCookie: s=1\r\nUser-Agent: t\r\n\r\n"
REFUSED = (
    *("transfer-encoding", "upgrade", "expect", "te", "trailer", "http2-settings", "proxy-connection", "keep-alive"),
    "proxy-authorization",
)
KNOWN = {
    "host": Attribute.HOST,
    "cookie": Attribute.COOKIE,
    "user-agent": Attribute.USER_AGENT,
    "authorization": Attribute.AUTHORIZATION,
    "content-length": Header.HEADER_LENGTH,
    "connection": Header.HEADER_KEEP,
} | dict.fromkeys(REFUSED, Header.HEADER_REFUSED)


def hashed(text: bytes) -> int:
    return footprint.guard_hash(SEED, FACTOR, text)


GUARD_MAPS = (
    Entry("guard_key", c_uint32(0), GuardKey(seed=SEED, factor=FACTOR, epoch=EPOCH)),
    *(Entry("splice_epochs", c_uint32(account), c_uint64(0)) for account in (1, 2)),
    Entry("guard_states", c_uint32(0), GuardTable.from_buffer_copy(head_table())),
    *(Entry("guard_headers", c_uint64(hashed(name.encode())), c_uint32(kind)) for name, kind in KNOWN.items()),
)


def guard(mask: int = 0x7F, **changed: bytes | None) -> Guard:
    """Return the guard of HEAD; changed: attribute in lower case -> its text."""
    texts = {"method": b"GET", "host": b"shop.example", "path": b"/a", "query": b"?x=1", "cookie": b"s=1"}
    texts |= {"user_agent": b"t"} | changed
    made = Guard(mask=mask, decision=99)
    for name, text in texts.items():
        made.hashes[Attribute[name.upper()]] = 0 if text is None else hashed(text)
    return made


def splice(vpc: bool = False, v6: bool = False, **fields: object) -> Splice:
    """Return the splice; fields: those of Splice, arrays as tuples."""
    client, ours, endpoint = (CLIENT6, SELF6, ENDPOINT6) if v6 else (CLIENT, SELF, ENDPOINT)
    made = Splice(
        generation=GENERATION,
        state=State.ACTIVE,
        kind=Kind.OPAQUE,
        flags=Flag.VPC if vpc else 0,
        unique_ip=abi.addr(UNIQUE),
        tail_end=C_ACK,
        head=C_SEQ,
        epoch=EPOCH,
        tunnel_sport=50000,
        account=2,
        guard=guard(),
    )
    made.from_[0] = flow(client, 50000, ours, 80)
    made.from_[1] = flow(VM, 80, LADDR, 6000, vni=BLUE) if vpc else flow(endpoint, 8080, ours, 40000)
    made.delta[0], made.delta[1] = UP_SEQ, DOWN_SEQ & MASK
    made.end[0], made.end[1] = C_SEQ, S_ACK
    made.acked[0], made.acked[1] = C_ACK, S_SEQ
    for way in (0, 1):
        made.scale_from[way] = made.scale_to[way] = 7
    for name, value in fields.items():
        if isinstance(value, tuple):
            getattr(made, name)[0], getattr(made, name)[1] = value
        else:
            setattr(made, name, value)
    return made


def carried(vpc: bool = False, v6: bool = False, **fields: object) -> tuple[Entry, ...]:
    """Return the maps of a machine that carries the splice."""
    made = splice(vpc, v6, **fields)
    entries: tuple[Entry, ...] = (
        *(VPC if vpc else ()),
        Entry("machine", c_uint32(0), PLAIN_MACHINE),
        *GUARD_MAPS,
        Entry("splices", c_uint32(ID), made),
        Entry("answers", c_uint32(ID), Answer()),
        Entry("splice_ends", made.from_[0], SpliceEnd(id=ID, generation=GENERATION, direction=0)),
    )
    if vpc:
        leased = abi.Session(direction=Direction.SPLICED, target=ID, target_generation=GENERATION)
        return (*entries, Entry("sessions", made.from_[1], leased))
    return (*entries, Entry("splice_ends", made.from_[1], SpliceEnd(id=ID, generation=GENERATION, direction=1)))


def from_client(
    flags: str = "PA", payload: bytes = b"", seq: int = C_SEQ, ack: int = C_ACK, **fields: object
) -> Packet:
    return arrives(tcp(CLIENT, 50000, SELF, 80, flags, seq=seq & MASK, ack=ack & MASK, **fields) / Raw(payload))


def to_endpoint(
    flags: str = "PA", payload: bytes = b"", seq: int = S_SEQ, ack: int = S_ACK, **fields: object
) -> Packet:
    fields = {"ttl": 63} | fields
    return tcp(SELF, 40000, ENDPOINT, 8080, flags, seq=seq & MASK, ack=ack & MASK, **fields) / Raw(payload)


def from_endpoint(
    flags: str = "PA", payload: bytes = b"", seq: int = S_ACK, ack: int = S_SEQ, **fields: object
) -> Packet:
    return arrives(tcp(ENDPOINT, 8080, SELF, 40000, flags, seq=seq & MASK, ack=ack & MASK, **fields) / Raw(payload))


def to_client(flags: str = "PA", payload: bytes = b"", seq: int = C_ACK, ack: int = C_SEQ, **fields: object) -> Packet:
    fields = {"ttl": 63} | fields
    return tcp(SELF, 80, CLIENT, 50000, flags, seq=seq & MASK, ack=ack & MASK, **fields) / Raw(payload)
