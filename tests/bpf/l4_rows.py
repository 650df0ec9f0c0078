"""Packet rows of the L4 tier: VIP 10.100.0.10:80 -> gateway 10.1.0.11:80, by the local address 10.100.1.1:5000."""

from ctypes import c_uint32

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from tests.packets import (
    ROUTER_MAC,
    SELF_MAC,
    TC_ACT_REDIRECT,
    Case,
    Entry,
    arrives,
    dropped,
    flow,
    leaves,
    passed,
    tcp,
    udp,
)
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event, Owned, TcpSeen

CLIENT, VIP, LADDR, GATEWAY = "203.0.113.9", "10.100.0.10", "10.100.1.1", "10.1.0.11"
TIMESTAMP = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]
SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]
TOA = (254, bytes.fromhex("1072cb007109"))  # port 4210, then 203.0.113.9


def machine(laddr_count: int = 1, ports: tuple[int, int] = (5000, 5000)) -> Entry:
    value = abi.Machine(laddr_count=laddr_count, port_min=ports[0], port_max=ports[1], mtu=1500, toa_kind=254)
    return Entry("machine", c_uint32(0), value)


PUBLISHED = (
    machine(),
    Entry("owned", abi.addr(VIP), c_uint32(Owned.VIP)),
    Entry("owned", abi.addr(LADDR), c_uint32(Owned.LADDR)),
    Entry("laddrs", c_uint32(0), abi.addr(LADDR)),
    Entry("targets", c_uint32(1), abi.Target(addr=abi.addr(GATEWAY), port=80)),
    Entry("services", abi.ServiceKey(addr=abi.addr(VIP), port=80, proto=6), abi.Service(ring=0)),
)
FORWARD, REPLY = flow(CLIENT, 4210, VIP, 80), flow(GATEWAY, 80, LADDR, 5000)


def session(forward: int = 0, reply: int = 0) -> tuple[Entry, Entry]:
    """Return both entries of the session that the first SYN of this file opens."""
    return (
        Entry("sessions", FORWARD, abi.Session(peer=REPLY, direction=Direction.FORWARD, tcp_seen=forward)),
        Entry("sessions", REPLY, abi.Session(peer=FORWARD, direction=Direction.REPLY, tcp_seen=reply)),
    )


def from_client(flags: str = "A", payload: bytes = b"", **fields: object) -> Ether:
    return arrives(tcp(CLIENT, 4210, VIP, 80, flags, **fields) / Raw(payload))


def to_gateway(flags: str = "A", payload: bytes = b"", ttl: int = 63, **fields: object) -> Ether:
    return leaves(tcp(LADDR, 5000, GATEWAY, 80, flags, ttl=ttl, **fields) / Raw(payload))


def from_gateway(flags: str = "A", payload: bytes = b"", **fields: object) -> Ether:
    return arrives(tcp(GATEWAY, 80, LADDR, 5000, flags, **fields) / Raw(payload))


def to_client(flags: str = "A", payload: bytes = b"", **fields: object) -> Ether:
    return leaves(tcp(VIP, 80, CLIENT, 4210, flags, ttl=63, **fields) / Raw(payload))


OPEN = PUBLISHED + session(TcpSeen.SYN, TcpSeen.SYN)
TOLD = PUBLISHED + session(TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER, TcpSeen.SYN | TcpSeen.DATA)
CLOSING = PUBLISHED + session(TcpSeen.SYN | TcpSeen.DATA | TcpSeen.FIN, TcpSeen.SYN | TcpSeen.DATA)
WRITTEN = {Event.TOA_WRITTEN: 1}
REFUSED = {Event.TOA_NO_ROOM: 1}

CASES = [
    Case(
        "first SYN opens a session and leaves from the local address with TTL one less, its own options and no TOA",
        from_client("S", options=SYN_OPTIONS, seq=1000),
        TC_ACT_REDIRECT,
        to_gateway("S", options=SYN_OPTIONS, seq=1000),
        PUBLISHED,
        {Event.SESSION_NEW: 1},
    ),
    Case(
        "a retransmitted SYN uses the session it opened",
        from_client("S", options=SYN_OPTIONS),
        TC_ACT_REDIRECT,
        to_gateway("S", options=SYN_OPTIONS),
        PUBLISHED + session(TcpSeen.SYN),
        {},
    ),
    Case(
        "a SYN over a session that said FIN opens a new one",
        from_client("S"),
        TC_ACT_REDIRECT,
        to_gateway("S"),
        CLOSING,
        {Event.SESSION_REOPENED: 1, Event.SESSION_NEW: 1},
    ),
    Case(
        "a SYN over a session that the gateway reset opens a new one",
        from_client("S"),
        TC_ACT_REDIRECT,
        to_gateway("S"),
        PUBLISHED + session(TcpSeen.SYN | TcpSeen.PEER_RST, TcpSeen.RST),
        {Event.SESSION_REOPENED: 1, Event.SESSION_NEW: 1},
    ),
    Case(
        "the bare ACK of the handshake carries TOA",
        from_client("A", seq=1001, ack=501),
        TC_ACT_REDIRECT,
        to_gateway("A", seq=1001, ack=501, options=[TOA]),
        OPEN,
        WRITTEN,
    ),
    Case(
        "TOA goes in front of a timestamp",
        from_client("A", options=TIMESTAMP),
        TC_ACT_REDIRECT,
        to_gateway("A", options=[TOA, *TIMESTAMP]),
        OPEN,
        WRITTEN,
    ),
    *(
        Case(
            f"the first request of {size} bytes carries TOA and its payload unchanged",
            from_client("PA", bytes(i & 0xFF for i in range(size)), options=TIMESTAMP),
            TC_ACT_REDIRECT,
            to_gateway("PA", bytes(i & 0xFF for i in range(size)), options=[TOA, *TIMESTAMP]),
            OPEN,
            WRITTEN,
        )
        for size in (1, 2, 7, 51, 52, 53, 63, 64, 65, 127, 128, 129, 1000, 1439, 1440)
    ),
    Case(
        "a segment too long for the option goes without",
        from_client("PA", b"x" * 1441, options=TIMESTAMP),
        TC_ACT_REDIRECT,
        to_gateway("PA", b"x" * 1441, options=TIMESTAMP),
        OPEN,
        REFUSED,
    ),
    Case(
        "a header too full for the option goes without",
        from_client(
            "A", options=[*TIMESTAMP, ("SAck", (1, 2, 3, 4)), ("NOP", None), ("NOP", None), ("MSS", 9), ("MSS", 9)]
        ),
        TC_ACT_REDIRECT,
        to_gateway(
            "A", options=[*TIMESTAMP, ("SAck", (1, 2, 3, 4)), ("NOP", None), ("NOP", None), ("MSS", 9), ("MSS", 9)]
        ),
        OPEN,
        REFUSED,
    ),
    Case(
        "the option replaces Ethernet padding behind a short packet",
        Ether(bytes(from_client("A")) + b"\0" * 6),
        TC_ACT_REDIRECT,
        to_gateway("A", options=[TOA]),
        OPEN,
        WRITTEN,
    ),
    Case(
        "once the gateway has answered, no TOA",
        from_client("A", b"GET / HTTP/1.1\r\n\r\n"),
        TC_ACT_REDIRECT,
        to_gateway("A", b"GET / HTTP/1.1\r\n\r\n"),
        TOLD,
        {},
    ),
    Case("a RST carries no TOA", from_client("R"), TC_ACT_REDIRECT, to_gateway("R"), OPEN, {}),
    Case(
        "sequence numbers and window at their ends pass through",
        from_client("A", seq=0xFFFFFFFF, ack=0, window=0),
        TC_ACT_REDIRECT,
        to_gateway("A", seq=0xFFFFFFFF, ack=0, window=0),
        TOLD,
        {},
    ),
    Case(
        "DSCP and ECN pass through",
        from_client("A", tos=0xBA),
        TC_ACT_REDIRECT,
        to_gateway("A", tos=0xBA),
        TOLD,
        {},
    ),
    Case("TTL 2 leaves as 1", from_client("A", ttl=2), TC_ACT_REDIRECT, to_gateway("A", ttl=1), TOLD, {}),
    Case(
        "the gateway's SYN-ACK leaves from the VIP, its MSS lowered by the option's length",
        from_gateway("SA", options=SYN_OPTIONS, seq=500, ack=1001),
        TC_ACT_REDIRECT,
        to_client("SA", options=[("MSS", 1452), *SYN_OPTIONS[1:]], seq=500, ack=1001),
        OPEN,
        {},
    ),
    Case(
        "an MSS already low enough stays",
        from_gateway("SA", options=[("MSS", 1452)]),
        TC_ACT_REDIRECT,
        to_client("SA", options=[("MSS", 1452)]),
        OPEN,
        {},
    ),
    Case(
        "an MSS at an odd offset is lowered too",
        from_gateway("SA", options=[("NOP", None), ("MSS", 9000), ("NOP", None), ("NOP", None), ("NOP", None)]),
        TC_ACT_REDIRECT,
        to_client("SA", options=[("NOP", None), ("MSS", 1452), ("NOP", None), ("NOP", None), ("NOP", None)]),
        OPEN,
        {},
    ),
    Case(
        "a SYN-ACK without MSS stays as it is",
        from_gateway("SA", options=[("WScale", 7), ("EOL", None)]),
        TC_ACT_REDIRECT,
        to_client("SA", options=[("WScale", 7), ("EOL", None)]),
        OPEN,
        {},
    ),
    Case(
        "an answer goes to the client from the VIP",
        from_gateway("PA", b"HTTP/1.1 200 OK\r\n\r\n", options=TIMESTAMP),
        TC_ACT_REDIRECT,
        to_client("PA", b"HTTP/1.1 200 OK\r\n\r\n", options=TIMESTAMP),
        TOLD,
        {},
    ),
    Case("a reset goes to the client from the VIP", from_gateway("RA"), TC_ACT_REDIRECT, to_client("RA"), TOLD, {}),
    passed("a packet for another address", arrives(tcp(CLIENT, 1, "10.0.0.10", 80)), *PUBLISHED),
    passed("ARP", Ether(src=ROUTER_MAC, dst=SELF_MAC) / ARP(psrc="10.0.0.1", pdst="10.0.0.10"), *PUBLISHED),
    passed("IPv6", arrives(IPv6(src="2001:db8::1", dst="2001:db8::2") / Raw(b"x" * 40)), *PUBLISHED),
    passed("a fragment for another address", arrives(tcp(CLIENT, 1, "10.0.0.10", 80, frag=3)), *PUBLISHED),
    dropped(
        "a port that nothing is published on", arrives(tcp(CLIENT, 4210, VIP, 81)), DropReason.NO_SERVICE, *PUBLISHED
    ),
    dropped("an ACK without a session", from_client("A"), DropReason.NO_SESSION, *PUBLISHED),
    dropped("a SYN-ACK without a session", from_client("SA"), DropReason.NO_SESSION, *PUBLISHED),
    dropped("an answer without a session", from_gateway("A"), DropReason.NO_SESSION, *PUBLISHED),
    dropped("UDP to a port of TCP's", arrives(udp(CLIENT, 1, VIP, 80)), DropReason.NO_SERVICE, *PUBLISHED),
    dropped(
        "a first fragment",
        arrives(IP(src=CLIENT, dst=VIP, flags="MF") / Raw(b"x" * 40)),
        DropReason.FRAGMENT,
        *PUBLISHED,
    ),
    dropped(
        "a later fragment",
        arrives(IP(src=CLIENT, dst=VIP, frag=5, proto=6) / Raw(b"x" * 40)),
        DropReason.FRAGMENT,
        *PUBLISHED,
    ),
    dropped(
        "IP options",
        arrives(IP(src=CLIENT, dst=VIP, options=[b"\x01\x01\x01\x00"]) / Raw(bytes(tcp(CLIENT, 4210, VIP, 80))[20:])),
        DropReason.IP_OPTIONS,
        *PUBLISHED,
    ),
    dropped("TTL 1", from_client("A", ttl=1), DropReason.TTL_EXPIRED, *TOLD),
    dropped("TTL 0", from_client("A", ttl=0), DropReason.TTL_EXPIRED, *TOLD),
    dropped("an IP length beyond the frame", from_client("A", len=400), DropReason.MALFORMED, *TOLD),
    dropped("an IP length below the TCP header's", from_client("A", len=39), DropReason.MALFORMED, *TOLD),
    dropped("an IP length below 20", from_client("A", len=19), DropReason.MALFORMED, *TOLD),
    dropped("a TCP header shorter than 20", from_client("A", dataofs=4), DropReason.MALFORMED, *TOLD),
    dropped("a TCP header beyond the packet", from_client("A", dataofs=15), DropReason.MALFORMED, *TOLD),
    dropped("a TCP header cut off", Ether(bytes(from_client("A"))[:45]), DropReason.MALFORMED, *TOLD),
    dropped(
        "the only port taken towards this gateway",
        arrives(tcp("203.0.113.10", 4210, VIP, 80)),
        DropReason.PORTS_EXHAUSTED,
        *OPEN,
        port_probe=16,
    ),
    dropped("no local address", from_client("S"), DropReason.NO_LADDR, *PUBLISHED[1:], machine(laddr_count=0)),
    dropped(
        "a ring that names no target",
        arrives(tcp(CLIENT, 4210, VIP, 80)),
        DropReason.NO_TARGET,
        *PUBLISHED,
        Entry("services", abi.ServiceKey(addr=abi.addr(VIP), port=80, proto=6), abi.Service(ring=7)),
    ),
]
