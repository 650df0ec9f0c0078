"""Where cgroup2 and bpffs are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from userspace.node import machine
from userspace.node.machine import MachineError, cgroup2_mount, ensure_bpffs


def test_cgroup2_is_found_on_hybrid_machines_too() -> None:
    assert (cgroup2_mount() / "cgroup.procs").exists()


def test_a_machine_without_cgroup2_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_mounts", lambda: [("/", "ext4")])
    with pytest.raises(MachineError, match="cgroup2 is not mounted"):
        cgroup2_mount()


@pytest.mark.netns
def test_in_the_root_group_we_make_our_own_and_move_there() -> None:
    code = (
        "from userspace.node.machine import own_cgroup; g = own_cgroup('unit-test'); "
        "print(g); print(open('/proc/self/cgroup').read().split('0::')[1].strip()); assert own_cgroup('unit-test') == g"
    )
    root = cgroup2_mount()
    out = subprocess.check_output(
        ["sh", "-c", f'echo $$ > {root}/cgroup.procs; exec {sys.executable} -c "{code}"'], text=True
    )
    group, current = out.split()
    try:
        assert Path(group) == root / "unilb/unit-test"
        assert current == "/unilb/unit-test"
    finally:
        os.rmdir(group)


@pytest.mark.netns
def test_a_service_managers_group_is_kept() -> None:
    group = cgroup2_mount() / "unilb-test-service"
    group.mkdir()
    try:
        out = subprocess.check_output(
            [
                "sh",
                "-c",
                f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c "
                "\"from userspace.node.machine import own_cgroup; print(own_cgroup('x'))\"",
            ],
            text=True,
        )
        assert Path(out.strip()) == group
    finally:
        group.rmdir()


@pytest.mark.bpf
def test_bpffs_is_mounted_once(tmp_path: Path) -> None:
    try:
        assert ensure_bpffs(tmp_path) == tmp_path / "unilb"
        assert ensure_bpffs(tmp_path) == tmp_path / "unilb"
        mounts = Path("/proc/self/mounts").read_text()
        assert mounts.count(f" {tmp_path} bpf ") == 1
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.bpf
def test_a_place_that_cannot_hold_bpffs_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot mount bpffs at .*missing"):
        ensure_bpffs(tmp_path / "missing")
