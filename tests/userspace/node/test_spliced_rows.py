"""Splices as people see and end them."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packets import flow
from tests.userspace.node.splice_maps import splice_maps
from userspace.node import maps, sessions_cli, spliced_rows
from userspace.node.maps import Table
from userspace.node.splice_abi import Kind, Splice, State
from userspace.node.splice_table import SpliceTable
from userspace.node.spliced_rows import NSEC, rows, table

pytestmark = pytest.mark.bpf


def splice(number: int, **fields: int) -> Splice:
    made = Splice(**{"generation": 1, "state": State.ACTIVE, "kind": Kind.GUARDED, "requests": 7} | fields)
    made.from_[0] = flow("203.0.113.9", 4210 + number, "10.1.0.11", 80)
    made.from_[1] = flow("192.168.0.10", 8080, "198.18.1.1", 6000 + number, vni=10010)
    made.bytes[:], made.packets[:] = (100, 2000), (10, 20)
    made.created_ns, made.last_seen_ns = (10 - number) * NSEC, 12 * NSEC
    return made


@pytest.fixture
def tables() -> Iterator[dict[str, Table]]:
    with splice_maps() as found:
        for number in (1, 2):
            SpliceTable(found).write(number, splice(number), None)
        yield found


def test_a_splice_is_one_row_the_oldest_first() -> None:
    second, first = rows([(1, splice(1)), (2, splice(2))], 20 * NSEC)
    assert (first.id, second.id) == (1, 2)
    assert (first.client, first.reached) == ("203.0.113.9:4211", "10.1.0.11:80")
    assert (first.leaves_as, first.endpoint, first.vni) == ("198.18.1.1:6001", "192.168.0.10:8080", 10010)
    assert (first.state, first.kind, first.requests) == ("active", "guarded", 7)
    assert (first.age, first.idle, first.bytes, first.packets) == (11, 8, (100, 2000), (10, 20))
    assert "203.0.113.9:4211" in table([first]) and "guarded" in table([first])


def test_killing_takes_both_ends_and_tells_them(tables: dict[str, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(spliced_rows, "reset_splice", lambda tables, splice, to_client: told.append(splice.from_[0]))
    found = [row for row in rows(SpliceTable(tables).living(), 0) if row.id == 1]
    assert spliced_rows.kill(tables, found) == 1
    assert [bytes(one) for one in told] == [bytes(splice(1).from_[0])]
    assert [id for id, _ in SpliceTable(tables).living()] == [2]
    assert len(tables["splice_ends"].items()) == 2


def test_the_command_lists_what_matches(
    tables: dict[str, Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(maps, "open_tables", lambda root: tables)
    monkeypatch.setattr(maps, "close_tables", lambda tables: None)
    monkeypatch.setattr("userspace.node.datapath.home", lambda root: tmp_path)
    parser = argparse.ArgumentParser()
    sessions_cli.add_parser(parser.add_subparsers())

    def printed(*arguments: str) -> list[str]:
        args = parser.parse_args(["sessions", "--spliced", *arguments])
        assert sessions_cli.run(args) == 0
        return capsys.readouterr().out.splitlines()

    assert len(printed()) == 3
    assert printed("--count") == ["2"]
    assert printed("4211", "--count") == ["1"]
    assert printed("--state", "tail", "--count") == ["0"]
    assert printed("--limit", "1")[-1] == "... and 1 more (--limit)"
    assert '"endpoint": "192.168.0.10:8080"' in printed("--json")[0]
