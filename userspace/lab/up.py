"""Build the region on this machine out of network namespaces: what is there already stays."""

import os
import secrets
from collections.abc import Collection
from pathlib import Path

from userspace.lab import cgroups, mounts, plan, services, topology
from userspace.lab.apply import NETNS_DIRECTORY, LabError, apply, in_lab
from userspace.lab.down import remove
from userspace.lab.lab import Lab
from userspace.lab.lock import locked


def up(lab: Lab, only: Collection[str] = services.NAMES) -> None:
    """Namespaces, links, addresses; then the services named in `only`, each ready before its dependents start.

    Repeating it repairs what is missing. A lab of another topology is taken down first. Raises LabError.
    """
    require_root()
    with locked(lab.state):
        if _built_from_another(lab):
            remove(lab.name, lab.topology)
        prepare(lab)
        apply(plan.build(lab.topology, lab.name), in_lab(lab.name))
        services.up(lab, only)


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and mounts: run it as root")


def prepare(lab: Lab) -> None:
    """Write down what is about to be made, for `down` to read; make the folders, cgroups and key that services need."""
    if not NETNS_DIRECTORY.exists():
        _write(lab.state / "made-netns-directory", "")
    _write(lab.state / "topology.yaml", lab.topology.text)
    for name in ("logs", "pids"):
        (lab.state / name).mkdir(parents=True, exist_ok=True)
    if not lab.admin_key.exists():
        descriptor = os.open(lab.admin_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as file:
            file.write(secrets.token_hex(16))
    mounts.mount_bpffs(lab.state / "bpf")
    for place in lab.places:
        lab.bpffs(place).mkdir(exist_ok=True)
    cgroups.make([lab.cgroup(place) for place in lab.places])


def _built_from_another(lab: Lab) -> bool:
    kept = lab.state / "topology.yaml"
    return kept.exists() and topology.parse(kept.read_text()) != lab.topology


def _write(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)
