"""Remove a lab, whole or half-built, with or without its state."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from userspace.lab import cgroups, mounts, process, topology
from userspace.lab.apply import NETNS_DIRECTORY, LabError
from userspace.lab.fields import TopologyError
from userspace.lab.lab import cgroup2, state_directory
from userspace.lab.lock import locked
from userspace.lab.plan import namespace
from userspace.lab.topology import Topology

GRACE = 3.0  # seconds for daemons to end by themselves


def down(name: str, fallback: Topology) -> None:
    """Remove everything that a lab of this name has here. `fallback` serves when the lab's own record is gone.

    Nothing there is no error. Raises LabError for what cannot be removed.
    """
    with locked(state_directory(name)):
        remove(name, fallback)
        state_directory(name).rmdir()


def remove(name: str, fallback: Topology) -> None:
    """`down` for the holder of the lock, which is the state directory: emptied, it stays."""
    state = state_directory(name)
    names = {namespace(name, place) for t in (_kept(state), fallback) if t for place in (*t.machines, *t.vms)}
    process.stop(process.recorded(state / "pids"), GRACE)
    with contextlib.suppress(LabError):  # no cgroup2, hence no groups of ours
        cgroups.end(cgroup2() / f"{name}-lab")
    namespaces = [NETNS_DIRECTORY / n for n in sorted(names) if (NETNS_DIRECTORY / n).exists()]
    _kill_inside(namespaces)
    _delete(namespaces)
    mounts.unmount(state / "bpf")
    if (state / "made-netns-directory").exists():
        mounts.forget_netns_directory()
    for path in state.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _kept(state: Path) -> Topology | None:
    try:
        return topology.load(state / "topology.yaml")
    except TopologyError:
        return None


def _kill_inside(namespaces: list[Path]) -> None:
    """End what entered a namespace by other ways than ours (`ip netns exec`): it would keep the namespace alive."""
    wanted = {(found.st_dev, found.st_ino) for found in (path.stat() for path in namespaces)}
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found = link.stat()
            if (found.st_dev, found.st_ino) in wanted:
                os.kill(int(link.parts[2]), signal.SIGKILL)


def _delete(namespaces: list[Path]) -> None:
    lines = "".join(f"netns del {path.name}\n" for path in namespaces)
    if not lines:
        return
    done = subprocess.run(["ip", "-force", "-batch", "-"], input=lines, capture_output=True, text=True)
    for path in namespaces:
        # What a killed `ip netns add` leaves is a plain file, which `ip netns del` removes with a complaint.
        with contextlib.suppress(OSError):
            path.unlink()
        if path.exists():
            raise LabError(f"cannot remove {path}: {done.stderr.strip()}")
