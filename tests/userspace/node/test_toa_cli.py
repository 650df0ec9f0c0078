"""`unilb toa` on a machine that is no node of ours: what its servers see of who connects."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from userspace.node import toa_cli
from userspace.node.machine import cgroup2_mount

pytestmark = pytest.mark.bpf

L4 = "10.99.0.7"
SCRIPT = Path(__file__).with_name("toa_server.py")
# kind, length, port 4660, 203.0.113.9: the layout of LVS and DPVS, port first.
TOA = bytes((254, 8, 0x12, 0x34, 203, 0, 113, 9)).hex()
CLIENT = "203.0.113.9 4660 203.0.113.9 4660"


def ask(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    toa_cli.add_parser(parser.add_subparsers())
    args = parser.parse_args(["toa", *arguments])
    return int(args.run(args))


@pytest.fixture
def cgroup() -> Iterator[Path]:
    group = cgroup2_mount() / "unilb-toa-test"
    group.mkdir(exist_ok=True)
    yield group
    group.rmdir()


@pytest.fixture
def root(bpffs: Path) -> Iterator[Path]:
    yield bpffs / "toa"
    ask("--detach", "--bpffs", str(bpffs / "toa"))


def seen(cgroup: Path, *options: str) -> list[str]:
    """What the server prints for a client at L4 that sends these options."""
    command = ["unshare", "--net", sys.executable, str(SCRIPT), str(cgroup), L4, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_servers_see_the_client_of_a_trusted_sender(
    root: Path, cgroup: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--bpffs", str(root), "--cgroup", str(cgroup), "--cache", str(cache))
    assert ask("--trust", "10.99.0.0/28", *common) == 0
    assert f"sockets in {cgroup} see the clients of 16 addresses" in capsys.readouterr().out
    # Alone, behind other options, none, of another kind, cut off, of a length that is not ours.
    others = f"0101080a0000000100000000{TOA}"
    assert seen(cgroup, TOA, others, "-", f"fd{TOA[2:]}", TOA[:8], f"fe06{TOA[4:12]}") == [
        CLIENT,
        CLIENT,
        *(f"{L4} {4000 + number} {L4} {4000 + number}" for number in (2, 3, 4, 5)),
    ]
    assert ask("--status", "--bpffs", str(root)) == 0
    assert "kind 254, 16 trusted addresses\nhandshakes with an address read: 2\n" in capsys.readouterr().out

    # Again, with other settings, while it is attached: taken up in place.
    assert ask("--trust", "192.0.2.1", "--kind", "253", *common) == 0
    assert seen(cgroup, f"fd{TOA[2:]}") == [f"{L4} 4000 {L4} 4000"]
    assert ask("--trust", L4, "--kind", "253", *common) == 0
    assert seen(cgroup, f"fd{TOA[2:]}", TOA) == [CLIENT, f"{L4} 4001 {L4} 4001"]
    ask("--status", "--bpffs", str(root))
    assert "not trusted, ignored: 1" in capsys.readouterr().out

    assert ask("--detach", "--bpffs", str(root)) == 0
    assert seen(cgroup, TOA) == [f"{L4} 4000 {L4} 4000"]
    assert not root.exists()
    assert ask("--status", "--bpffs", str(root)) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--trust is required"),
        (("--trust", "10.0.0.0/8"), "16777216 addresses, at most 4096"),
        (("--trust", "nobody"), "does not appear to be an IPv4 or IPv6 network"),
        (("--trust", "10.0.0.1", "--kind", "1"), "expected 2 to 255"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], says: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ask(*arguments, "--bpffs", str(root))
    assert says in capsys.readouterr().err


def test_a_cgroup_that_is_none_is_named(root: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--trust", L4, "--bpffs", str(root), "--cgroup", "/nowhere", "--cache", str(cache)) == 1
    assert "/nowhere" in capsys.readouterr().err
