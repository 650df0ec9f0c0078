"""Which counter is which route's and endpoint's, over restarts and when there are more of these than counters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.userspace.node.splice_maps import splice_maps
from userspace.node.maps import Table
from userspace.node.splice_abi import SpliceCount
from userspace.node.splice_accounts import NOBODY, Row, SpliceAccounts

pytestmark = pytest.mark.bpf
A, B, C, D = (("r", "u", f"10.0.0.{n}:80") for n in range(4))


@pytest.fixture
def counts() -> Iterator[Table]:
    with splice_maps() as tables:
        yield tables["splice_counts"]


def accounts(counts: Table, path: Path, *used: int) -> SpliceAccounts:
    return SpliceAccounts(counts, path / "run" / "accounts", lambda index: index in used)


def test_an_owner_keeps_its_index(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path)
    assert [found.of(owner) for owner in (A, B, A)] == [1, 2, 1]
    assert (found.owner(2), found.owner(3)) == (B, NOBODY)
    later = accounts(counts, tmp_path)
    assert later.owner(2) == B
    assert later.of(B) == 2
    assert later.of(C) == 3


def test_an_upstream_has_all_its_accounts_and_what_is_nobodys(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path)
    for owner in (A, B, ("r", "v", "10.0.0.9:80")):
        found.of(owner)
    assert found.of_upstreams(["u"]) == {0, 1, 2}
    assert found.of_upstreams({"v": [], "w": []}) == {0, 3}
    assert found.of_upstreams([]) == {0}


def test_counts_are_summed_and_named(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path)
    found.of(A)
    share = SpliceCount(requests=3, latency_ns=500_000_000)
    share.bytes[:] = 10, 20
    share.statuses[2], share.latency[4] = 3, 3
    cpus = len(counts.shares(1))
    counts.put_shares(1, bytes(share))
    read = dict(found.read())
    assert read[A].requests == 3 * cpus
    assert read[A].bytes == (10 * cpus, 20 * cpus)
    assert (read[A].statuses[2], read[A].latency[4]) == (3 * cpus, 3 * cpus)
    assert read[A].seconds == pytest.approx(0.5 * cpus)
    assert read[NOBODY].requests == 0


def test_the_oldest_that_no_splice_carries_gives_way(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path, 1)
    for owner in (A, B, C):
        found.of(owner)
    counts.put_shares(2, bytes(SpliceCount(requests=9)))
    assert found.of(D) == 2
    assert dict(found.read())[D].requests == 0
    assert B not in dict(found.read())


def test_where_all_are_carried_the_rest_is_nobodys(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path, 1, 2, 3)
    assert [found.of(owner) for owner in (A, B, C, D)] == [1, 2, 3, 0]
    assert found.overflowed == 1


@pytest.mark.parametrize("text", ["", "{", "[1]", '[["x", "a", "b", "c"]]', '[[99, "a", "b", "c"]]', "null"])
def test_a_broken_file_of_names_costs_names_only(counts: Table, tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "accounts").write_text(text)
    assert accounts(counts, tmp_path).of(A) == 1


def test_a_file_that_cannot_be_written_costs_names_only(counts: Table, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    assert accounts(counts, tmp_path).of(A) == 1


def test_who_logs_is_told_of_each_owner_before_it_has_an_index(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path)
    told = list[Row]()
    found.on_new = told.append
    assert [found.of(A), found.of(A), found.of(B, "blue"), found.of(B, "blue")] == [1, 1, 2, 2]
    assert told == [(1, *A, None), (2, *B, "blue")] == found.rows()
    assert found.of(B, "green") == 2  # the same address, which another VPC has now
    assert told[2:] == [(2, *B, "green")]
    assert accounts(counts, tmp_path).rows() == [(1, *A, None), (2, *B, "green")]


def test_an_index_that_is_given_out_anew_forgets_its_vpc(counts: Table, tmp_path: Path) -> None:
    found = accounts(counts, tmp_path, 1, 2)
    for owner in (A, B, C):
        found.of(owner, "blue")
    assert found.of(D) == 3
    assert found.rows()[-1] == (3, *D, None)


def test_names_of_a_version_that_knew_no_vpcs_are_read(counts: Table, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "accounts").write_text('[[2, "r", "u", "10.0.0.0:80"]]')
    assert accounts(counts, tmp_path).rows() == [(2, *A, None)]
