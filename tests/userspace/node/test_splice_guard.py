"""What the guard is given: secrets that last, an epoch that only grows, headers by their hashes."""

from collections.abc import Iterator
from ctypes import c_uint32, c_uint64

import pytest

from control.model.keys import PREFIXES
from tests.userspace.node.splice_maps import splice_maps
from userspace.http.footprint import name_hash
from userspace.node.head_table import head_table
from userspace.node.maps import Table
from userspace.node.splice_abi import Attribute, GuardKey, GuardPath, Header
from userspace.node.splice_guard import HEADERS, SpliceGuard, upstreams_of

pytestmark = pytest.mark.bpf


@pytest.fixture
def tables() -> Iterator[dict[str, Table]]:
    with splice_maps() as found:
        yield found


def guard_on(tables: dict[str, Table], *accounts: int) -> SpliceGuard:
    """Return a guard where every upstream has these accounts."""
    return SpliceGuard(tables, lambda upstreams: accounts if upstreams else ())


def key(tables: dict[str, Table]) -> GuardKey:
    return GuardKey.from_buffer_copy(tables["guard_key"].get(c_uint32(0)) or b"")


def test_secrets_are_random_and_last(tables: dict[str, Table]) -> None:
    guard_on(tables)
    first = key(tables)
    assert first.factor % 2 == 1
    assert first.seed != 0
    assert first.epoch == 1
    guard = guard_on(tables)
    second = key(tables)
    assert (second.seed, second.factor) == (first.seed, first.factor)
    assert second.epoch == first.epoch  # what is spliced goes on until there are workers for it to come back to
    guard.advance()
    assert guard_on(tables).epoch == 2
    with splice_maps() as others:
        guard_on(others)
        assert key(others).seed != first.seed


def test_names_that_a_build_before_hashed_otherwise_go(tables: dict[str, Table]) -> None:
    guard_on(tables)
    ours = dict(tables["guard_headers"].items())
    for other in range(1, 1 + 32 - len(ours)):
        tables["guard_headers"].put(bytes(c_uint64(other)), c_uint32(1))
    guard_on(tables)
    assert dict(tables["guard_headers"].items()) == ours


def test_workers_are_told_what_the_kernel_has(tables: dict[str, Table]) -> None:
    guard = guard_on(tables)
    guard.advance()
    message, stored = guard.message(), key(tables)
    assert message == {
        "type": "splice_key",
        "seed": str(stored.seed),
        "factor": str(stored.factor),
        "epoch": stored.epoch,
        "edition": 1,
    }
    assert guard.epoch == stored.epoch


def test_a_change_of_an_upstream_ages_its_splices_alone(tables: dict[str, Table]) -> None:
    guard = guard_on(tables, 0, 3)
    before = guard.epoch_of(2), guard.epoch_of(3)
    guard.advance(["u1"])
    guard.advance(["u1"])
    assert (guard.epoch, guard.edition) == (1, 2)  # decisions hold, hand-overs under way do not
    assert (guard.epoch_of(2), guard.epoch_of(3)) == (before[0], before[1] + 2)
    assert tables["splice_epochs"].get(c_uint32(0)) == tables["splice_epochs"].get(c_uint32(3)) == bytes(c_uint64(2))
    guard.advance()
    assert (guard.epoch_of(2), guard.epoch_of(3), guard.edition) == (2, 4, 3)
    assert guard_on(tables).epoch_of(3) == 4  # it lasts, as what is spliced does


def test_what_is_of_upstreams_alone_is_said_by_its_keys() -> None:
    assert upstreams_of([PREFIXES["upstream"] + "a", PREFIXES["upstream"] + "b/c"]) == ["a", "b/c"]
    assert upstreams_of([PREFIXES["upstream"] + "a", PREFIXES["route"] + "a"]) is None
    assert upstreams_of([]) == []


def test_headers_are_known_by_their_hashes(tables: dict[str, Table]) -> None:
    guard_on(tables)
    secret = key(tables)

    def kind(name: bytes) -> bytes | None:
        return tables["guard_headers"].get(bytes(c_uint64(name_hash(secret.seed, secret.factor, name))))

    assert kind(b"Host") == kind(b"HOST") == bytes(c_uint32(Attribute.HOST))
    assert kind(b"content-length") == bytes(c_uint32(Header.HEADER_LENGTH))
    assert kind(b"Connection") == bytes(c_uint32(Header.HEADER_KEEP))
    for name in (b"Transfer-Encoding", b"Upgrade", b"Expect", b"TE", b"Trailer", b"HTTP2-Settings"):
        assert kind(name) == bytes(c_uint32(Header.HEADER_REFUSED))
    assert kind(b"x-anything") is None
    assert len(tables["guard_headers"].items()) == len(HEADERS)


def test_the_grammar_of_a_head_is_in_the_kernel(tables: dict[str, Table]) -> None:
    guard_on(tables)
    assert tables["guard_states"].get(c_uint32(0)) == head_table()


def test_another_path_is_covered(tables: dict[str, Table]) -> None:
    guard_on(tables).cover(2**64 - 1, 7)
    assert tables["guard_paths"].get(GuardPath(decision=2**64 - 1, path=7)) is not None
    assert tables["guard_paths"].get(GuardPath(decision=1, path=7)) is None
