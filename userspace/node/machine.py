"""This machine as the node finds it: where cgroup2 and bpffs are, and the group that our sockets belong to."""

import os
import subprocess
from pathlib import Path

BPFFS = Path("/sys/fs/bpf")


class MachineError(Exception):
    """The machine lacks something; the text names it. `unilb doctor` tells how to mend it."""


def _mounts() -> list[tuple[str, str]]:
    """Return (mount point, file system type) of every mount of this process."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [(fields[1], fields[2]) for fields in (line.split() for line in lines)]


def cgroup2_mount() -> Path:
    """Return where cgroup2 is mounted, on hybrid systems beside the version 1 controllers. Raises MachineError."""
    for point, kind in _mounts():
        if kind == "cgroup2":
            return Path(point)
    raise MachineError("cgroup2 is not mounted")


def own_cgroup(id: str) -> Path:
    """Return the group whose sockets are ours, and move this process into it.

    A service manager's group is kept. In the root group, which would cover the whole machine, we make our own.
    """
    mount = cgroup2_mount()
    current = next(
        line.partition("::")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")
    )
    if current != "/" and (mount / current.lstrip("/")).is_dir():
        return mount / current.lstrip("/")
    group = mount / "unilb" / id
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    return group


def ensure_bpffs(path: Path = BPFFS) -> Path:
    """Return the bpffs directory for our pins; mounts the file system where it is not. Raises MachineError."""
    if not any(point == str(path) and kind == "bpf" for point, kind in _mounts()):
        done = subprocess.run(["mount", "-t", "bpf", "bpf", str(path)], capture_output=True, text=True)
        if done.returncode != 0:
            raise MachineError(f"cannot mount bpffs at {path}: {done.stderr.strip()}")
    return path / "unilb"
