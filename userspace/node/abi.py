"""ctypes mirror of bpf/lib/abi.h, one class per struct. Written by hand; tests/bpf/test_abi.py compares it through BTF.

Network-order fields are big-endian types, so code holds ordinary integers. Addresses are 16 bytes: net.py converts.
"""

from ctypes import Array, Structure, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum, IntFlag
from ipaddress import IPv6Address, ip_address

be16 = c_uint16.__ctype_be__

ABI_VERSION = 1
RING_SIZE = 16381


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
        ("created_ns", c_uint64),
        ("last_seen_ns", c_uint64),
        ("packets", c_uint64),
        ("bytes", c_uint64),
    ]


class Endpoint(Structure):
    """What a unique IP stands for; mtu in bytes of the inner packet."""

    _fields_ = [("addr", Addr), ("vtep", Addr), ("vni", c_uint32), ("mac", c_uint8 * 6), ("mtu", c_uint16)]


class VtepKey(Structure):
    """A sender and the VNI it may send into; a zero vtep marks the VNI as known."""

    _fields_ = [("vtep", Addr), ("vni", c_uint32)]


class Traffic(Structure):
    _fields_ = [("packets", c_uint64), ("bytes", c_uint64)]


class ServiceKey(Structure):
    _fields_ = [("addr", Addr), ("port", be16), ("proto", c_uint8), ("pad", c_uint8)]


class Service(Structure):
    """ring is a slot of RING_SIZE entries in the map `rings`."""

    _fields_ = [("ring", c_uint32), ("pad", c_uint32)]


class Target(Structure):
    _fields_ = [("addr", Addr), ("port", be16), ("pad", c_uint16)]


class Machine(Structure):
    """The machine itself; ports inclusive, toa_mss in bytes."""

    _fields_ = [
        ("underlay", Addr),
        ("underlay_ifindex", c_uint32),
        ("vpc_ifindex", c_uint32),
        ("vpc_mac", c_uint8 * 6),
        ("inner_mac", c_uint8 * 6),
        ("laddr_count", c_uint32),
        ("port_min", c_uint16),
        ("port_max", c_uint16),
        ("toa_mss", c_uint16),
        ("toa_kind", c_uint8),
        ("pad", c_uint8),
    ]


class Client(Structure):
    _fields_ = [("addr", Addr), ("port", be16), ("pad", c_uint16)]


class Direction(IntEnum):
    FORWARD = 1
    REPLY = 2


class TcpSeen(IntFlag):
    SYN = 1
    DATA = 2
    FIN = 4
    RST = 8
    PEER = 16


class Owned(IntEnum):
    VIP = 1
    LADDR = 2


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
    INTERNAL = 23


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


STRUCTS: dict[str, type[Structure]] = {
    "addr": Addr,
    "flow": Flow,
    "session": Session,
    "endpoint": Endpoint,
    "vtep_key": VtepKey,
    "traffic": Traffic,
    "service_key": ServiceKey,
    "service": Service,
    "target": Target,
    "machine": Machine,
    "client": Client,
}
# C name -> (mirror, prefix that the C names carry and the mirror drops)
ENUMS: dict[str, tuple[type[IntEnum] | type[IntFlag], str]] = {
    "direction": (Direction, "DIRECTION_"),
    "tcp_seen": (TcpSeen, "SEEN_"),
    "owned": (Owned, "OWNED_"),
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
