"""When a splice ends, and how its ends learn of it."""

import pytest

from userspace.node.splice_abi import Splice, State
from userspace.node.splice_ageing import NSEC, Fate, SpliceLimits, fate

LIMITS = SpliceLimits(idle=900, age=3600)
ROWS = [
    ("one that carries", {"state": State.ACTIVE}, False, (Fate.KEEP, "")),
    ("one in silence", {"state": State.ACTIVE, "last_seen_ns": 99 * NSEC}, False, (Fate.RESET, "idle")),
    ("one not quite", {"state": State.ACTIVE, "last_seen_ns": 101 * NSEC}, False, (Fate.KEEP, "")),
    ("one that awaits the tail", {"state": State.TAIL, "created_ns": 971 * NSEC}, True, (Fate.KEEP, "")),
    ("one that awaits it in vain", {"state": State.TAIL, "created_ns": 969 * NSEC}, True, (Fate.RESET, "tail")),
    ("one whose tail arrived unnoticed", {"state": State.ACTIVE}, True, (Fate.COVERED, "")),
    ("one on its way back", {"state": State.BACK, "deadline_ns": 1000 * NSEC}, False, (Fate.KEEP, "")),
    ("one whose way back was missed", {"state": State.BACK, "deadline_ns": 998 * NSEC}, False, (Fate.RESET, "back")),
    ("one that has just closed", {"state": State.CLOSED, "deadline_ns": 991 * NSEC}, False, (Fate.KEEP, "")),
    ("one that has closed", {"state": State.CLOSED, "deadline_ns": 989 * NSEC}, False, (Fate.RELEASE, "closed")),
    (
        "one reset before its tail, which it may not have believed",
        {"state": State.CLOSED, "deadline_ns": 999 * NSEC},
        True,
        (Fate.KEEP, ""),
    ),
    ("one that was killed", {"state": State.FREE}, False, (Fate.RELEASE, "killed")),
    ("another use of the slot", {"state": State.ACTIVE, "generation": 4}, False, (Fate.RELEASE, "killed")),
]


@pytest.mark.parametrize(("name", "fields", "has_client", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_fates(name: str, fields: dict[str, int], has_client: bool, expected: tuple[Fate, str]) -> None:
    now = 1000 * NSEC
    splice = Splice(**{"generation": 3, "created_ns": now, "last_seen_ns": now} | fields)
    assert fate(splice, 3, has_client, now, LIMITS) == expected


def test_a_splice_that_moves_ends_of_age_only_where_there_is_one() -> None:
    splice = Splice(generation=3, state=State.ACTIVE, created_ns=1, last_seen_ns=5000 * NSEC)
    assert fate(splice, 3, False, 5000 * NSEC, LIMITS) == (Fate.RESET, "age")
    assert fate(splice, 3, False, 5000 * NSEC, SpliceLimits()) == (Fate.KEEP, "")
