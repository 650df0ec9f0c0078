"""Drops as they happen: told while somebody watches, sampled, and never otherwise."""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packets import arrives, packet_namespace, run, tcp
from userspace.node import abi, bpf, datapath, drops_cli
from userspace.node.datapath import Datapath, Sizes
from userspace.node.drops_cli import line, row, watch
from userspace.node.ring import Ring

pytestmark = pytest.mark.bpf
VIP, CLIENT = "10.100.0.10", "203.0.113.9"
PACKET = bytes(arrives(tcp(CLIENT, 4210, VIP, 80, "A"))) + bytes(40)


@pytest.fixture(scope="module")
def l4(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    loaded = datapath.load(bpffs / "drops", "l4", Sizes(flows=64, services=2, accounts=8), cache)
    loaded.tables["owned"].put(abi.addr(VIP), abi.c_uint32(abi.Owned.VIP))
    yield loaded
    loaded.close()
    datapath.detach(bpffs / "drops")


@pytest.fixture(scope="module")
def ring(l4: Datapath) -> Iterator[Ring]:
    with Ring(bpf.get_pinned(l4.root / "drop_events")) as ring:
        yield ring


def drop(l4: Datapath, times: int) -> None:
    with packet_namespace() as ifindex:
        for _ in range(times):
            run(l4.programs["l4_ingress"], PACKET, ifindex)


def test_nothing_is_told_while_nobody_watches(l4: Datapath, ring: Ring) -> None:
    watch(l4.tables["drop_watch"], time.monotonic_ns() - 10 * drops_cli.NSEC, 1)
    drop(l4, 1)
    assert list(ring.read()) == []


def test_a_drop_is_told_with_reason_flow_and_first_bytes(l4: Datapath, ring: Ring) -> None:
    watch(l4.tables["drop_watch"], time.monotonic_ns(), 1)
    drop(l4, 1)
    (found,) = (row(abi.DropEvent.from_buffer_copy(record)) for record in ring.read())
    assert (found["reason"], found["from"], found["to"]) == ("no_session", f"{CLIENT}:4210", f"{VIP}:80")
    assert (found["protocol"], found["length"]) == ("tcp", len(PACKET))
    assert bytes.fromhex(found["bytes"]) == PACKET[:64]
    assert "no_session" in line(found, found["at"])
    assert list(ring.read()) == []


def test_one_of_many_is_told(l4: Datapath, ring: Ring) -> None:
    watch(l4.tables["drop_watch"], time.monotonic_ns(), 10)
    drop(l4, 100)
    assert 5 <= len(list(ring.read())) <= 15


def test_the_ring_goes_round_and_a_full_one_loses_only_events(l4: Datapath, ring: Ring) -> None:
    watch(l4.tables["drop_watch"], time.monotonic_ns(), 1)
    before = l4.tables["drops"].totals(len(abi.DropReason))[abi.DropReason.NO_SESSION]
    drop(l4, 3000)
    held = len(list(ring.read()))
    assert 1800 < held < 2000  # 262144 bytes of 136 each
    drop(l4, 1500)
    assert len(list(ring.read())) == 1500
    assert l4.tables["drops"].totals(len(abi.DropReason))[abi.DropReason.NO_SESSION] == before + 4500


def test_the_command_prints_what_matches(l4: Datapath, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    drops_cli.add_parser(parser.add_subparsers())
    watch(l4.tables["drop_watch"], time.monotonic_ns(), 1)
    args = parser.parse_args(["drops", "--seconds", "0.1", "--json", "--bpffs", str(l4.root.parent)])
    assert drops_cli.run(args) == 0
    assert capsys.readouterr().out == ""
    args = parser.parse_args(["drops", "--bpffs", "/nowhere"])
    assert drops_cli.run(args) == 1


def test_a_row_without_addresses_reads_as_json() -> None:
    found = row(abi.DropEvent(reason=abi.DropReason.MALFORMED, len=20))
    assert json.loads(json.dumps(found))["from"] == ""
