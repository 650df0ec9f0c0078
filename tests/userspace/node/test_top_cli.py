"""Rates out of two readings."""

import argparse
from pathlib import Path

import pytest

from tests.userspace.node.splice_maps import splice_maps
from tests.userspace.node.test_sessions_cli import ENTRIES
from tests.userspace.node.test_spliced_rows import splice
from userspace.node import maps, top_cli
from userspace.node.splice_table import SpliceTable
from userspace.node.top_cli import Moved, rates, table


def moved(octets: int, packets: int, requests: int = 0, what: str = "splice") -> Moved:
    return Moved(what, "203.0.113.9:4210", "10.1.0.21:80", octets, packets, requests)


def test_a_rate_is_what_has_moved_between_two_readings() -> None:
    (rate,) = rates({"a": moved(1000, 10, 5)}, {"a": moved(5000, 30, 9)}, 2.0)
    assert (rate.bytes, rate.packets, rate.requests) == (2000, 10, 2)


def test_who_moves_most_comes_first() -> None:
    before = {"a": moved(0, 0), "b": moved(0, 0), "c": moved(0, 0)}
    found = rates(before, {"a": moved(1, 1), "b": moved(9, 1), "c": moved(0, 0)}, 1.0)
    assert [rate.bytes for rate in found] == [9, 1, 0]
    assert table(found, 1).splitlines()[-1] == "3 connections, 2 moving, 10 bytes/s"
    assert len(table(found, 1).splitlines()) == 3


def test_a_new_connection_began_with_nothing() -> None:
    assert rates({}, {"a": moved(500, 5)}, 1.0)[0].bytes == 500
    assert rates({"a": moved(900, 9)}, {"a": moved(500, 5)}, 1.0)[0].bytes == 500  # another one, of the same ends


@pytest.mark.bpf
def test_sessions_and_splices_stand_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with splice_maps() as tables:
        SpliceTable(tables).write(1, splice(1), None)
        for key, value in ENTRIES.items():
            tables["sessions"].put(key, value)
        found = top_cli.read(tables, 0)
        assert sorted(one.what for one in found.values()) == ["session", "splice"]
        monkeypatch.setattr(maps, "open_tables", lambda root: tables)
        monkeypatch.setattr(maps, "close_tables", lambda tables: None)
        monkeypatch.setattr("userspace.node.datapath.home", lambda root: tmp_path)
        (tmp_path / "sessions").touch()
        parser = argparse.ArgumentParser()
        top_cli.add_parser(parser.add_subparsers())
        assert top_cli.run(parser.parse_args(["top", "--every", "0.01", "--count", "2"])) == 0
    printed = capsys.readouterr().out
    assert printed.count("2 connections, 0 moving") == 2
    assert "203.0.113.9:4211" in printed


def test_without_a_datapath_there_is_nothing_to_show(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    top_cli.add_parser(parser.add_subparsers())
    assert top_cli.run(parser.parse_args(["top", "--bpffs", str(tmp_path)])) == 1
