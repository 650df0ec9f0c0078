"""ctypes mirror of bpf/lib/abi_splice.h, one class per struct; tests/bpf/test_abi.py compares it through BTF.

Arrays of two are indexed by direction: 0 from the client, 1 from the endpoint.
"""

from ctypes import Structure, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum, IntFlag

from userspace.node.abi import Addr, Flow, be16

# What the access log says of the session of a splice's client, by Splice.logged - 1.
STICKY = (None, "valid", "none")
LATENCY_BUCKETS = 16  # bucket n counts responses within 64 us << n, the last one all others
SPLICE_EVENT_BYTES = 2048
ANSWER_BYTES, ANSWER_MORE = 2560, 1024


class Guard(Structure):
    """The decision that later requests must be covered by; a hash of 0 stands for what is not there."""

    _fields_ = [
        ("hashes", c_uint64 * 8),
        ("extra_name", c_uint64),
        ("decision", c_uint64),
        ("mask", c_uint32),
        ("pad", c_uint32),
    ]


class GuardPath(Structure):
    """Another path that a decision covers."""

    _fields_ = [("decision", c_uint64), ("path", c_uint64)]


class GuardKey(Structure):
    """The secrets of the hashes, and what is in force now."""

    _fields_ = [("seed", c_uint64), ("factor", c_uint64), ("epoch", c_uint64)]


class GuardTable(Structure):
    """head_table.head_table(), as a map's value."""

    _fields_ = [("next", c_uint8 * 8192), ("keep", c_uint8 * 32), ("whose", c_uint8 * 32), ("small", c_uint8 * 32)]


class SpliceEnd(Structure):
    """Where a flow finds its splice."""

    _fields_ = [("id", c_uint32), ("generation", c_uint32), ("direction", c_uint32)]


class Splice(Structure):
    """A session that carries a decided connection; *_ns is CLOCK_MONOTONIC."""

    _fields_ = [
        ("lock", c_uint32),
        ("generation", c_uint32),
        ("state", c_uint8),
        ("kind", c_uint8),
        ("flags", c_uint8),
        ("back", c_uint8),
        ("scale_from", c_uint8 * 2),
        ("scale_to", c_uint8 * 2),
        ("from_", Flow * 2),
        ("unique_ip", Addr),
        ("client", Addr),
        ("delta", c_uint32 * 2),
        ("clock", c_uint32 * 2),
        ("clock_base", c_uint32 * 2),
        ("tail_end", c_uint32),
        ("end", c_uint32 * 2),
        ("acked", c_uint32 * 2),
        ("last_ts", c_uint32 * 2),
        ("window", c_uint16 * 2),
        ("mss", c_uint16 * 2),
        ("tunnel_sport", be16),
        ("sack", c_uint8),
        ("logged", c_uint8),
        ("client_port", be16),
        ("status", c_uint16),
        ("first_us", c_uint32),
        ("head", c_uint32),
        ("mark_seq", c_uint32),
        ("mark_len", c_uint32),
        ("answer", c_uint32),
        ("mark_hash", c_uint64),
        ("account", c_uint32),
        ("requests", c_uint32),
        ("epoch", c_uint64),
        ("revision", c_uint64),
        ("created_ns", c_uint64),
        ("last_seen_ns", c_uint64),
        ("deadline_ns", c_uint64),
        ("request_ns", c_uint64),
        ("answered_ns", c_uint64),
        ("packets", c_uint64 * 2),
        ("bytes", c_uint64 * 2),
        ("bytes_before", c_uint64),
        ("last", c_uint8 * 8),
        ("said_len", c_uint16),
        ("asked_head", c_uint8),
        ("mixed", c_uint8),
        ("asked_at", c_uint32),
        ("guard", Guard),
    ]


class Answer(Structure):
    """How the last answer of a guarded splice begins: its first Splice.said_len bytes."""

    _fields_ = [("said", c_uint8 * ANSWER_BYTES)]


class SplicedRequest(Structure):
    """A request that was let through, whose head follows, and what became of the one before it."""

    _fields_ = [
        ("id", c_uint32),
        ("generation", c_uint32),
        ("number", c_uint32),
        ("len", c_uint32),
        ("account", c_uint32),
        ("client_port", be16),
        ("server_port", be16),
        ("client", Addr),
        ("server", Addr),
        ("revision", c_uint64),
        ("begun_ns", c_uint64),
        ("answered_ns", c_uint64),
        ("up", c_uint64),
        ("down", c_uint64),
        ("answer", c_uint32),
        ("first_us", c_uint32),
        ("status", c_uint16),
        ("flags", c_uint8),
        ("logged", c_uint8),
        ("kind", c_uint8),
        ("state", c_uint8),
        ("pad", c_uint8 * 2),
    ]


class SpliceCount(Structure):
    """What the spliced requests of one route and endpoint have cost."""

    _fields_ = [
        ("requests", c_uint64),
        ("bytes", c_uint64 * 2),
        ("statuses", c_uint64 * 6),
        ("latency", c_uint64 * LATENCY_BUCKETS),
        ("latency_ns", c_uint64),
    ]


class SpliceEvent(Structure):
    """What the datapath tells of a splice. at_ns: 0 in a record of programs that do not say when."""

    _fields_ = [
        ("type", c_uint32),
        ("id", c_uint32),
        ("generation", c_uint32),
        ("why", c_uint32),
        ("seq", c_uint32),
        ("len", c_uint32),
        ("captured", c_uint32),
        ("pad", c_uint32),
        ("bytes", c_uint8 * SPLICE_EVENT_BYTES),
        ("at_ns", c_uint64),
    ]


class State(IntEnum):
    FREE = 0
    TAIL = 1
    ACTIVE = 2
    BACK = 3
    CLOSED = 4


class Kind(IntEnum):
    OPAQUE = 1
    GUARDED = 2


class Flag(IntFlag):
    TIMESTAMPS = 1
    VPC = 2
    FIN_UP = 4
    FIN_DOWN = 8
    TS_UP = 16
    TS_DOWN = 32
    AWAITS = 64
    RESET = 128


class Attribute(IntEnum):
    METHOD = 0
    HOST = 1
    PATH = 2
    QUERY = 3
    COOKIE = 4
    USER_AGENT = 5
    AUTHORIZATION = 6
    EXTRA = 7


class Header(IntEnum):
    """Headers that the guard knows by name, beside those that are an Attribute."""

    HEADER_LENGTH = 16
    HEADER_KEEP = 17
    HEADER_REFUSED = 18


class EventType(IntEnum):
    TAIL = 1
    BACK = 2
    END = 3


class Back(IntEnum):
    """Why a splice is handed back."""

    NONE = 0
    EPOCH = 1
    FOOTPRINT = 2
    HEAD = 3
    SPLIT = 4
    PIPELINED = 5


STRUCTS = {
    "guard": Guard,
    "guard_path": GuardPath,
    "guard_key": GuardKey,
    "guard_table": GuardTable,
    "splice_end": SpliceEnd,
    "answer": Answer,
    "splice": Splice,
    "spliced_request": SplicedRequest,
    "splice_count": SpliceCount,
    "splice_event": SpliceEvent,
}
ENUMS: dict[str, tuple[type[IntEnum] | type[IntFlag], str]] = {
    "splice_state": (State, "SPLICE_"),
    "splice_kind": (Kind, "SPLICE_"),
    "splice_flag": (Flag, "SPLICE_"),
    "guard_attribute": (Attribute, "GUARD_"),
    "guard_header": (Header, "GUARD_"),
    "splice_event_type": (EventType, "SPLICE_EVENT_"),
    "splice_back": (Back, "SPLICE_BACK_"),
}
