"""Lab: one built region, and the names of everything it owns on this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from userspace.lab.apply import NETNS_DIRECTORY, LabError
from userspace.lab.plan import namespace
from userspace.lab.topology import Topology

_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Lab:
    """`name` keeps labs apart: namespaces NAME-<machine>, state /run/NAME-lab, cgroups NAME-lab/<machine>.

    `here` is set on a virtual machine of the region: the name of the machine that this is.
    """

    topology: Topology
    name: str = "unilb"
    here: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(f"{self.name!r} does not name a lab: a-z and 0-9, a letter first, at most 16 characters")

    @property
    def state(self) -> Path:
        return state_directory(self.name)

    @property
    def admin_key(self) -> Path:
        return self.state / "admin.key"

    @property
    def places(self) -> tuple[str, ...]:
        """Machines and VMs: everything that a command can run in from here."""
        if self.here:
            return (self.here, *(vm.name for vm in self.topology.vms_on(self.here)))
        return (*self.topology.machines, *self.topology.vms)

    def netns(self, place: str) -> Path | None:
        """The namespace of a machine or VM; None when that is where the caller is. Raises LabError: no such place."""
        if place not in self.places:
            raise LabError(f"no machine {place!r} in the topology; there are: {', '.join(self.places)}")
        if place == self.here:
            return None
        return NETNS_DIRECTORY / namespace(self.name, place)

    def cgroup(self, place: str) -> Path:
        return cgroup2() / f"{self.name}-lab" / place

    def bpffs(self, place: str) -> Path:
        """What the place sees as /sys/fs/bpf."""
        return self.state / "bpf" / place

    def log(self, place: str, service: str) -> Path:
        return self.state / "logs" / f"{place}.{service}.log"


def state_directory(name: str) -> Path:
    return Path("/run") / f"{name}-lab"


def cgroup2() -> Path:
    """Where the unified hierarchy is mounted: /sys/fs/cgroup, or below it beside the old controllers."""
    for mount in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = mount.split()
        if kind == "cgroup2":
            return Path(where)
    raise LabError("cgroup2 is not mounted; `unilb doctor` says how to mend it")
