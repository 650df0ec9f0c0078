"""ctypes mirror of bpf/lib/abi.h, one class per struct. Written by hand; tests/bpf/test_abi.py compares it through BTF.

Network-order fields are big-endian types, so code holds ordinary integers. Addresses are 16 bytes: net.py converts.
"""

from ctypes import Array, Structure, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum, IntFlag
from ipaddress import IPv6Address, ip_address

be16 = c_uint16.__ctype_be__

ABI_VERSION = 5
RING_SIZE = 16381
DSR_VNI = 1 << 24


class Addr(Structure):
    """An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d."""

    _fields_ = [("bytes", c_uint8 * 16)]


class Flow(Structure):
    """A packet's flow as it arrives; vni 0 outside every VPC."""

    _fields_ = [
        ("saddr", Addr),
        ("daddr", Addr),
        ("sport", be16),
        ("dport", be16),
        ("vni", c_uint32),
        ("proto", c_uint8),
        ("pad", c_uint8 * 3),
    ]


class Session(Structure):
    """One direction of an FNAT session; *_ns is CLOCK_MONOTONIC."""

    _fields_ = [
        ("peer", Flow),
        ("direction", c_uint8),
        ("tcp_seen", c_uint8),
        ("tunnel_sport", be16),
        ("target", c_uint32),
        ("target_generation", c_uint32),
        ("account", c_uint32),
        ("ack", c_uint32),
        ("created_ns", c_uint64),
        ("last_seen_ns", c_uint64),
        ("packets", c_uint64),
        ("bytes", c_uint64),
    ]


class Endpoint(Structure):
    """What a unique IP stands for; mtu in bytes of the inner packet."""

    _fields_ = [
        ("addr", Addr),
        ("vtep", Addr),
        ("vni", c_uint32),
        ("mac", c_uint8 * 6),
        ("mtu", c_uint16),
        ("account", c_uint32),
    ]


class HostKey(Structure):
    """A machine of a VPC by its address there."""

    _fields_ = [("addr", Addr), ("vni", c_uint32)]


class VtepKey(Structure):
    """A sender and the VNI it may send into; a zero vtep marks the VNI as known."""

    _fields_ = [("vtep", Addr), ("vni", c_uint32)]


class Traffic(Structure):
    _fields_ = [("packets", c_uint64), ("bytes", c_uint64)]


class ServiceKey(Structure):
    _fields_ = [("addr", Addr), ("port", be16), ("proto", c_uint8), ("pad", c_uint8)]


class Service(Structure):
    """ring is a slot of RING_SIZE entries in the map `rings`; mode is a Forwarding."""

    _fields_ = [("ring", c_uint32), ("account", c_uint32), ("mode", c_uint32)]


class Target(Structure):
    """vni 0 outside every VPC; vip zero but for DSR; generation tells one use of an index from the next."""

    _fields_ = [
        ("addr", Addr),
        ("vip", Addr),
        ("port", be16),
        ("state", c_uint8),
        ("pad", c_uint8),
        ("vni", c_uint32),
        ("generation", c_uint32),
    ]


class Account(Structure):
    """What a VIP's port or a VPC has carried; pairs are forward and reply. One CPU's share."""

    _fields_ = [("packets", c_uint64 * 2), ("bytes", c_uint64 * 2), ("sessions", c_uint64)]


class Machine(Structure):
    """The machine itself; ports inclusive, mtu of the underlay device in bytes."""

    _fields_ = [
        ("underlay", Addr),
        ("underlay6", Addr),
        ("underlay_ifindex", c_uint32),
        ("vpc_ifindex", c_uint32),
        ("vpc_mac", c_uint8 * 6),
        ("inner_mac", c_uint8 * 6),
        ("vpc_peer_ifindex", c_uint32),
        ("segments_ifindex", c_uint32),
        ("laddr_count", c_uint32),
        ("laddr6_count", c_uint32),
        ("port_min", c_uint16),
        ("port_max", c_uint16),
        ("mtu", c_uint16),
        ("toa_kind", c_uint8),
        ("xdp_redirect", c_uint8),
    ]


class Client(Structure):
    _fields_ = [("addr", Addr), ("port", be16), ("pad", c_uint16)]


class PathMtu(Structure):
    _fields_ = [("learnt_ns", c_uint64), ("mtu", c_uint32), ("pad", c_uint32)]


class Budget(Structure):
    _fields_ = [("second", c_uint64), ("spent", c_uint64)]


class Watch(Structure):
    """Drops are told until until_ns (CLOCK_MONOTONIC), one of `every`."""

    _fields_ = [("until_ns", c_uint64), ("every", c_uint32), ("pad", c_uint32)]


class DropEvent(Structure):
    """A dropped packet: the first `captured` of its `len` bytes."""

    _fields_ = [
        ("at_ns", c_uint64),
        ("flow", Flow),
        ("reason", c_uint32),
        ("len", c_uint32),
        ("captured", c_uint32),
        ("bytes", c_uint8 * 64),
    ]


class Direction(IntEnum):
    FORWARD = 1
    REPLY = 2
    SPLICED = 3
    ONLY = 4


class TcpSeen(IntFlag):
    SYN = 1
    DATA = 2
    FIN = 4
    RST = 8
    PEER = 16
    PEER_FIN = 32
    PEER_RST = 64


class Owned(IntEnum):
    VIP = 1
    LADDR = 2
    TUNNEL = 3
    DSR = 4


class Forwarding(IntEnum):
    FNAT = 0
    DSR = 1


class TargetState(IntEnum):
    UP = 0
    DOWN = 1


class DropReason(IntEnum):
    NONE = 0
    MALFORMED = 1
    FRAGMENT = 2
    IP_OPTIONS = 3
    PROTOCOL = 4
    TTL_EXPIRED = 5
    NO_SERVICE = 6
    NO_TARGET = 7
    NO_SESSION = 8
    NO_LADDR = 9
    PORTS_EXHAUSTED = 10
    TABLE_FULL = 11
    NO_ENDPOINT = 12
    STALE_ENDPOINT = 13
    TOO_BIG = 14
    NO_ROUTE = 15
    ENCAP = 16
    VXLAN_HEADER = 17
    VNI_UNKNOWN = 18
    VTEP_UNKNOWN = 19
    INNER_MAC = 20
    INNER_PROTOCOL = 21
    ECN = 22
    ICMP_QUOTE = 23
    TARGET_DOWN = 24
    NO_NEIGHBOUR = 25
    SPLICE_ORDER = 26
    SPLICE_EARLY = 27
    SPLICE_REPEAT = 28
    SPLICE_HELD = 29
    SPLICE_CHECKSUM = 30
    INTERNAL = 31


class Event(IntEnum):
    SESSION_NEW = 0
    SESSION_REOPENED = 1
    PORT_PROBE = 2
    TOA_WRITTEN = 3
    TOA_NO_ROOM = 4
    TOA_READ = 5
    TOA_UNTRUSTED = 6
    ENCAP = 7
    DECAP = 8
    NEIGH_SLOW = 9
    ICMP_TRANSLATED = 10
    ICMP_TOO_BIG = 11
    ICMP_LIMITED = 12
    PATH_MTU = 13
    ECHO = 14
    DSR_SENT = 15
    DSR_TAKEN = 16
    RING_ONLY = 17
    SPLICE_UNTOLD = 18
    SPLICE_UNLOGGED = 19


STRUCTS: dict[str, type[Structure]] = {
    "addr": Addr,
    "flow": Flow,
    "session": Session,
    "endpoint": Endpoint,
    "host_key": HostKey,
    "vtep_key": VtepKey,
    "traffic": Traffic,
    "service_key": ServiceKey,
    "service": Service,
    "target": Target,
    "account": Account,
    "machine": Machine,
    "client": Client,
    "path_mtu": PathMtu,
    "budget": Budget,
    "watch": Watch,
    "drop_event": DropEvent,
}
# C name -> (mirror, prefix that the C names carry and the mirror drops)
ENUMS: dict[str, tuple[type[IntEnum] | type[IntFlag], str]] = {
    "direction": (Direction, "DIRECTION_"),
    "tcp_seen": (TcpSeen, "SEEN_"),
    "owned": (Owned, "OWNED_"),
    "forwarding": (Forwarding, "FORWARDING_"),
    "target_state": (TargetState, "TARGET_"),
    "drop_reason": (DropReason, "DROP_"),
    "event": (Event, "EVENT_"),
}


def addr(text: str) -> Addr:
    """Return the 16-byte form of an IPv4 or IPv6 address. Raises ValueError for anything else."""
    address = ip_address(text)
    mapped = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    return Addr.from_buffer_copy(mapped)


def text(address: Addr) -> str:
    """Return what addr() was given: a mapped address reads as IPv4."""
    v6 = IPv6Address(bytes(address))
    return str(v6.ipv4_mapped or v6)


def mac(text: str) -> Array[c_uint8]:
    """Return six bytes for "02:00:..". Raises ValueError."""
    return (c_uint8 * 6).from_buffer_copy(bytes.fromhex(text.replace(":", "")))
