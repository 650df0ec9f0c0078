"""Which splices end, and how: decided from one entry, purely."""

from dataclasses import dataclass
from enum import Enum

from userspace.node.splice_abi import Splice, State

NSEC = 1_000_000_000
TAIL_WITHIN = 30.0  # seconds that a client may take for the tail
BACK_WITHIN = 1.0  # beyond the datapath's own deadline: the event was lost
LINGER = 10.0  # seconds that a closed splice still answers retransmissions


class Fate(Enum):
    KEEP = "keep"
    COVERED = "covered"  # the client needs its socket no more, and the event that said so was lost
    RELEASE = "release"  # it has ended; nobody need be told
    RESET = "reset"  # both ends are told that it ends


@dataclass(frozen=True, slots=True)
class SpliceLimits:
    """Seconds. idle: of silence. age: of life, 0 without end."""

    idle: float = 900
    age: float = 0


def fate(splice: Splice, generation: int, has_client: bool, now_ns: int, limits: SpliceLimits) -> tuple[Fate, str]:
    """Return what becomes of a splice, and why. generation: of the use that the node knows; has_client: whether
    it still has the client's socket."""
    if splice.generation != generation or splice.state == State.FREE:
        return Fate.RELEASE, "killed"
    if splice.state == State.ACTIVE and has_client:
        return Fate.COVERED, ""
    if splice.state == State.CLOSED:
        return (Fate.RELEASE, "closed") if _past(splice.deadline_ns, now_ns, LINGER) else (Fate.KEEP, "")
    if splice.state == State.BACK:
        return (Fate.RESET, "back") if _past(splice.deadline_ns, now_ns, BACK_WITHIN) else (Fate.KEEP, "")
    if splice.state == State.TAIL and _past(splice.created_ns, now_ns, TAIL_WITHIN):
        return Fate.RESET, "tail"
    if _past(splice.last_seen_ns, now_ns, limits.idle):
        return Fate.RESET, "idle"
    if limits.age and _past(splice.created_ns, now_ns, limits.age):
        return Fate.RESET, "age"
    return Fate.KEEP, ""


def _past(since_ns: int, now_ns: int, seconds: float) -> bool:
    return now_ns - since_ns > seconds * NSEC
