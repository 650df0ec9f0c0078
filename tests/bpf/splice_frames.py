"""Segments of the splice's model as frames, built byte by byte: addresses of splice_machine.py, checksums and all."""

import socket
import struct
from dataclasses import dataclass

from tests.bpf.splice_machine import CLIENT, CLIENT6, ENDPOINT, ENDPOINT6, SELF, SELF6
from tests.bpf.splice_model import NOP, SACK, TIMESTAMPS, Option, Segment
from tests.packets import ROUTER_MAC, SELF_MAC

SUM_AT = 16  # of a TCP header
NEAR, FAR = (50000, 80), (8080, 40000)


@dataclass(frozen=True)
class Leg:
    """Who sends to whom, on the wire."""

    source: str
    target: str
    ports: tuple[int, int]


def arriving(way: int, v6: bool) -> Leg:
    ours = SELF6 if v6 else SELF
    if way == 0:
        return Leg(CLIENT6 if v6 else CLIENT, ours, NEAR)
    return Leg(ENDPOINT6 if v6 else ENDPOINT, ours, FAR)


def leaving(way: int, v6: bool) -> Leg:
    back = arriving(1 - way, v6)
    return Leg(back.target, back.source, back.ports[::-1])


def frame(leg: Leg, segment: Segment, back: bool = False) -> bytes:
    """Return the frame. back: with the MACs of one that goes back to the router."""
    v6 = ":" in leg.source
    addresses = b"".join(
        socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, a) for a in (leg.source, leg.target)
    )
    options = b"".join(_encoded(option) for option in segment.options)
    options += b"\0" * (-len(options) % 4)
    words = (*leg.ports, segment.seq, segment.ack, (20 + len(options)) // 4 << 12 | segment.flags, segment.window)
    tcp = struct.pack("!HHIIHHHH", *words, 0, segment.urgent) + options + segment.payload
    right = _sum(addresses + struct.pack("!II", 6, len(tcp)) + tcp)
    tcp = tcp[:SUM_AT] + struct.pack("!H", (right + segment.error) % 0xFFFF) + tcp[SUM_AT + 2 :]
    if v6:
        outer = struct.pack("!IHBB", 6 << 28 | segment.tos << 20, len(tcp), 6, segment.ttl) + addresses
    else:
        outer = struct.pack("!BBHHHBBH", 0x45, segment.tos, 20 + len(tcp), 77, 0x4000, segment.ttl, 6, 0) + addresses
        outer = outer[:10] + struct.pack("!H", _sum(outer)) + outer[12:]
    macs = [bytes.fromhex(mac.replace(":", "")) for mac in ((ROUTER_MAC, SELF_MAC) if back else (SELF_MAC, ROUTER_MAC))]
    return b"".join(macs) + (b"\x86\xdd" if v6 else b"\x08\x00") + outer + tcp


def normal(data: bytes, v6: bool) -> bytes:
    """Return the frame with its sums, of which ffff and 0 are the same number, written in one way."""
    made = bytearray(data)
    for at in (14 + 40 + SUM_AT,) if v6 else (14 + 10, 14 + 20 + SUM_AT):
        if made[at : at + 2] == b"\xff\xff":
            made[at : at + 2] = b"\0\0"
    return bytes(made)


def _encoded(option: Option) -> bytes:
    kind, words = option
    if kind == NOP:
        return b"\x01"
    body = struct.pack(f"!{len(words)}I", *words) if kind in (SACK, TIMESTAMPS) else bytes(words)
    return bytes((kind, 2 + len(body))) + body


def _sum(data: bytes) -> int:
    """Return the complement of the sum of RFC 1071."""
    data += b"\0" * (len(data) % 2)
    return -sum(struct.unpack(f"!{len(data) // 2}H", data)) % 0xFFFF
