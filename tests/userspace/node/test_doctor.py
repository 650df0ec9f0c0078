"""userspace/node/doctor.py: each absent fact gives its line, its reason and its command."""

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from userspace.cli import main
from userspace.node import doctor
from userspace.node.doctor import CAPABILITIES, LINK_KINDS, PROGRAMS, Check, Facts, checks, gather, report
from userspace.node.offloads import Obstacle

WHOLE = Facts(
    uid=0,
    capabilities=frozenset(CAPABILITIES),
    release="6.1.0-56-amd64",
    btf=True,
    filesystems=frozenset({"ext4", "bpf"}),
    bcc="0.26.0",
    bcc_why="",
    headers="/usr/src/linux-headers-6.1.0-56-amd64",
    headers_why="",
    cgroup2="/sys/fs/cgroup",
    programs={name: f"/usr/bin/{name}" for name in PROGRAMS},
    links=dict.fromkeys(LINK_KINDS, ""),
    rp_filter={"all": 0, "default": 0, "eth0": 2},
    mtu={"eth0": 1500},
    descriptors=1 << 20,
    xdp={"eth0": None},
)

NEWER_KERNEL = "apt-get install -t bookworm-backports linux-image-amd64 linux-headers-amd64 && reboot"

OFFLOADED = Obstacle("its peer x leaves checksums to hardware that is not there", "ethtool -K x tx off")

# (the check, what is found instead, what the line says, the command)
ABSENT: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "capabilities",
        {"uid": 1000, "capabilities": frozenset({"CAP_NET_RAW"})},
        "CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN not held",
        "sudo unilb doctor",
    ),
    ("open files", {"descriptors": 1024}, "1024 open files: 512 connections", "ulimit -Hn 65536 && ulimit -Sn 65536"),
    ("kernel", {"release": "5.10.0-30-amd64"}, "5.10.0-30-amd64", NEWER_KERNEL),
    ("BTF", {"btf": False}, "no /sys/kernel/btf/vmlinux", NEWER_KERNEL),
    ("bpffs", {"filesystems": frozenset({"ext4"})}, "the kernel does not know it", NEWER_KERNEL),
    (
        "cgroup2",
        {"cgroup2": ""},
        "not mounted",
        "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
    ),
    (
        "BCC",
        {"bcc": "", "bcc_why": "ImportError: cannot import name 'BPF' from 'bcc'"},
        "cannot import name 'BPF'",
        "apt-get install python3-bpfcc && rm -f .venv/.installed && make setup",
    ),
    (
        "kernel headers",
        {"headers": "", "headers_why": "no kernel headers for 6.18"},
        "no kernel headers for 6.18",
        "apt-get install linux-headers-amd64",
    ),
    *(
        (name, {"programs": {**WHOLE.programs, name: None}}, "not found", f"apt-get install {package}")
        for name, (_, package) in PROGRAMS.items()
    ),
    *(
        (
            f"{kind} links",
            {"links": {**WHOLE.links, kind: "Error: Unknown device type."}},
            "Unknown device",
            f"modprobe {kind}",
        )
        for kind in LINK_KINDS
    ),
    ("veth links", {"links": {**WHOLE.links, "veth": None}}, "not tried: needs root", "modprobe veth"),
    (
        "rp_filter",
        {"rp_filter": {"all": 0, "eth0": 1, "eth1": 2}},
        "strict on eth0",
        "sysctl -w net.ipv4.conf.all.rp_filter=2",
    ),
    ("MTU", {"mtu": {"eth0": 1500, "eth1": 1300}}, "1300 (eth1)", "ip link set eth1 mtu 1500"),
    ("XDP", {"xdp": {"eth0": OFFLOADED}, "hook": "xdp"}, "would lose TCP on eth0, its peer x", OFFLOADED.mend),
]


def test_a_whole_machine_lacks_nothing() -> None:
    assert [check.name for check in checks(WHOLE) if not check.ok] == []


@pytest.mark.parametrize(("name", "found", "says", "mend"), ABSENT, ids=[f"{row[0]}: {row[2]}" for row in ABSENT])
def test_what_is_absent_is_told_with_its_command(name: str, found: dict[str, Any], says: str, mend: str) -> None:
    (missing,) = [check for check in checks(replace(WHOLE, **found)) if not check.ok]
    assert missing.name == name
    assert says in missing.found
    assert missing.mend == mend
    assert missing.why
    shown = report([missing]).splitlines()
    assert shown[0].startswith(f"missing  {name}  ")
    assert shown[1].strip() == missing.why
    assert shown[2].strip() == f"mend: {mend}"


def test_every_fact_can_fail_a_check() -> None:
    judged = {field for _, found, _, _ in ABSENT for field in found}
    assert judged == {field.name for field in fields(Facts)}


@pytest.mark.parametrize(
    ("rp_filter", "ok"),
    [
        ({"all": 1, "eth0": 0}, False),  # the larger of the two counts
        ({"all": 2, "eth0": 1}, True),
        ({"all": 0, "default": 0}, True),
    ],
)
def test_rp_filter_is_judged_as_the_kernel_does(rp_filter: dict[str, int], ok: bool) -> None:
    (check,) = [check for check in checks(replace(WHOLE, rp_filter=rp_filter)) if check.name == "rp_filter"]
    assert check.ok is ok


@pytest.mark.parametrize(("release", "hook"), [("6.1.0-56-amd64", "clsact"), ("6.6.1", "tcx"), ("7.0-rc1", "tcx")])
def test_the_kernel_line_says_how_programs_attach(release: str, hook: str) -> None:
    (check,) = [check for check in checks(replace(WHOLE, release=release)) if check.name == "kernel"]
    assert check.ok
    assert check.found == f"{release}, attaching by {hook}"


def test_offloads_are_told_but_not_held_against_a_machine_that_attaches_to_tc() -> None:
    (check,) = [c for c in checks(replace(WHOLE, xdp={"eth0": OFFLOADED, "eth1": None})) if c.name == "XDP"]
    assert check.ok
    assert check.found == f"fit: eth1; would lose TCP on eth0, {OFFLOADED.why}"


def test_a_machine_without_devices_is_judged_all_the_same() -> None:
    assert all(check.ok for check in checks(replace(WHOLE, mtu={}, xdp={})))


def test_the_report_aligns_its_lines() -> None:
    lines = report([Check("a", True, "x", "", ""), Check("longer", True, "y", "", "")])
    assert lines == "ok       a       x\nok       longer  y"


def test_cgroup2_is_found_beside_the_old_controllers() -> None:
    mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    assert doctor._cgroup2(mounts) == "/sys/fs/cgroup/unified"
    assert doctor._cgroup2("proc /proc proc rw 0 0\n") == ""


def test_capabilities_are_read_from_the_effective_set() -> None:
    status = "CapPrm:\t000001ffffffffff\nCapEff:\t0000008000001000\nCapBnd:\t000001ffffffffff\n"
    assert doctor._capabilities(status) == {"CAP_BPF", "CAP_NET_ADMIN"}


@pytest.mark.netns
def test_this_machine_is_looked_at_without_a_trace() -> None:
    before = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    found = gather()
    assert found.release == os.uname().release
    assert found.links == dict.fromkeys(LINK_KINDS, "")
    assert "trial" not in before + subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout


def test_the_exit_status_and_json_say_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "gather", lambda hook: replace(WHOLE, hook=hook))
    assert main(["doctor", "--json"]) == 0
    assert {check["ok"] for check in json.loads(capsys.readouterr().out)} == {True}
    monkeypatch.setattr(doctor, "gather", lambda hook: replace(WHOLE, btf=False))
    assert main(["doctor", "--json"]) == 1
    (missing,) = [check for check in json.loads(capsys.readouterr().out) if not check["ok"]]
    assert sorted(missing) == ["found", "mend", "name", "ok", "why"]
    assert main(["doctor"]) == 1
    assert "missing  BTF" in capsys.readouterr().out


def test_a_user_without_privilege_gets_a_report_too() -> None:
    script = f"import os; os.setuid(65534); from userspace.cli import main; raise SystemExit(main({['doctor']}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "CAP_NET_ADMIN" in done.stdout.splitlines()[0]
    assert "not tried: needs root" in done.stdout
