"""The datapath of one machine: programs and maps below one bpffs directory, loaded, adopted, attached, detached.

    <root>/<ABI_VERSION>/<map>                 maps, pinned by the programs themselves
    <root>/<ABI_VERSION>/programs/<digest>/    programs, by the digest of their sources and sizes
    <root>/<ABI_VERSION>/links/<program>       attachments

Everything lives on when the process dies. The next one finds programs of the same digest and adopts them; another
digest is loaded beside them, swapped in by one link update each, and the old ones are removed.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from userspace.node import bpf, image, maps
from userspace.node.abi import ABI_VERSION, RING_SIZE
from userspace.node.bpf import AttachType
from userspace.node.bpf_load import XDP_HAS_FRAGS
from userspace.node.image import Wanted
from userspace.node.image_cache import LoadError, image_of
from userspace.node.links import attach_clsact

SOURCES = Path(__file__).resolve().parents[2] / "bpf"
_TYPES = {"sched_cls": 3, "xdp": 6, "sock_ops": 13, "cgroup_sock_addr": 18}  # enum bpf_prog_type


@dataclass(frozen=True, slots=True)
class Program:
    """A function of a source file and where it is attached: a device ("underlay", "vpc") or the "cgroup"."""

    source: str
    function: str
    type: str
    attach: AttachType
    where: str

    def wanted(self) -> Wanted:
        attach_type = int(self.attach) if self.type == "cgroup_sock_addr" else 0
        return Wanted(self.function, _TYPES[self.type], XDP_HAS_FRAGS if self.type == "xdp" else 0, attach_type)


# "toa": a machine that is no node of ours, see toa_cli.py.
TOA = (
    Program("sock_toa.c", "toa_read", "sock_ops", AttachType.CGROUP_SOCK_OPS, "cgroup"),
    Program("sock_toa.c", "toa_peername", "cgroup_sock_addr", AttachType.CGROUP_INET4_GETPEERNAME, "cgroup"),
    Program("sock_toa.c", "toa_peername6", "cgroup_sock_addr", AttachType.CGROUP_INET6_GETPEERNAME, "cgroup"),
)
_DSR_EGRESS = Program("tc_dsr.c", "dsr_egress", "sched_cls", AttachType.TCX_EGRESS, "underlay")
_PROBE_EGRESS = Program("tc_l4.c", "probe_egress", "sched_cls", AttachType.TCX_EGRESS, "vpc")
_VPC_EGRESS = Program("tc_gateway.c", "vpc_egress", "sched_cls", AttachType.TCX_EGRESS, "vpc")
ROLES: dict[str, tuple[Program, ...]] = {
    "l4": (_PROBE_EGRESS, Program("tc_l4.c", "l4_ingress", "sched_cls", AttachType.TCX_INGRESS, "underlay")),
    "gateway": (
        _VPC_EGRESS,
        Program("tc_gateway.c", "vxlan_ingress", "sched_cls", AttachType.TCX_INGRESS, "underlay"),
        _DSR_EGRESS,
        *TOA,
    ),
    "toa": TOA,
}
# What receives from the underlay, on XDP instead; neigh_ingress first, since l4_xdp leaves it packets.
XDP_ROLES = {
    "l4": (
        _PROBE_EGRESS,
        Program("tc_neigh.c", "neigh_ingress", "sched_cls", AttachType.TCX_INGRESS, "underlay"),
        Program("xdp_l4.c", "l4_xdp", "xdp", AttachType.XDP, "underlay"),
    ),
    "gateway": (
        _VPC_EGRESS,
        Program("xdp_gateway.c", "vxlan_xdp", "xdp", AttachType.XDP, "underlay"),
        _DSR_EGRESS,
        *TOA,
    ),
    "toa": TOA,
}
XDP_HOOKS = {"xdp": bpf.XDP_DRIVER_MODE, "xdpgeneric": bpf.XDP_SKB_MODE}


def programs_of(role: str, hook: str) -> tuple[Program, ...]:
    """Return what a role runs: hook is one of XDP_HOOKS, or any of TC's names."""
    return (XDP_ROLES if hook in XDP_HOOKS else ROLES)[role]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many entries each map holds. A session is two flows of about 210 bytes of kernel memory each.

    accounts: VIP ports and VPCs that are counted by themselves, and one more for the rest. A splice takes 440 bytes of
    `splices`, reserved from the start, two of `splice_ends` and, while there is a guarded one, 2560 of `answers`.
    """

    flows: int = 131072
    endpoints: int = 4096
    services: int = 64
    targets: int = 256
    owned: int = 512
    laddrs: int = 64
    accounts: int = 1024
    splices: int = 16384
    guard_paths: int = 65536

    def by_map(self) -> dict[str, int]:
        return {
            "sessions": self.flows,
            "endpoints": self.endpoints,
            "hosts": self.endpoints,
            "vteps": self.endpoints,
            "services": self.services,
            "rings": 2 * self.services * RING_SIZE,
            "targets": self.targets,
            "owned": self.owned,
            "laddrs": self.laddrs,
            "toa_trusted": self.owned,
            "accounts": self.accounts,
            "splices": self.splices,
            "splice_ends": 2 * self.splices,
            "answers": self.splices,
            "splice_counts": self.accounts,
            "splice_epochs": self.accounts,
            "guard_paths": self.guard_paths,
        }


@dataclass(slots=True)
class Datapath:
    """A loaded datapath. `tables` by map name; `programs` are file descriptors by function name."""

    root: Path
    role: str
    tables: dict[str, maps.Table]
    programs: dict[str, int]
    adopted: bool
    hook: str = "auto"
    links: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """Close file descriptors; the kernel objects stay."""
        maps.close_tables(self.tables)
        for fd in (*self.programs.values(), *self.links.values()):
            os.close(fd)
        self.programs, self.links, self.tables = {}, {}, {}

    def kernel_bytes(self) -> int:
        """Return the kernel memory of maps and programs, in bytes."""
        return sum(bpf.memory_locked(t.fd) for t in self.tables.values()) + sum(
            bpf.memory_locked(fd) for fd in self.programs.values()
        )


def home(root: Path) -> Path:
    """Return where this ABI's objects are pinned below a bpffs directory."""
    return root / str(ABI_VERSION)


def digest(programs: tuple[Program, ...], sizes: Sizes) -> str:
    """Return the name of a build: what the programs are made from."""
    made_from = hashlib.sha256(repr(([p.function for p in programs], sizes)).encode())
    for path in sorted(SOURCES.rglob("*.[ch]")):
        made_from.update(path.read_bytes())
    return made_from.hexdigest()[:16]


def load(root: Path, role: str, sizes: Sizes, cache: Path, hook: str = "auto") -> Datapath:
    """Return the datapath of `role` for `hook`, adopted when the same build is pinned, else loaded. Attaches nothing.

    Raises LoadError, HeadersMissing, MapMismatch (before any program could run on a map of another layout).
    """
    here = home(root)
    maps.close_tables(maps.open_tables(here, sizes.by_map()))
    wanted = programs_of(role, hook)
    build = here / "programs" / digest(wanted, sizes)
    adopted = build.is_dir() and all((build / p.function).exists() for p in wanted)
    if not adopted:
        _build(here, build, wanted, sizes, cache)
    tables = maps.open_tables(here, sizes.by_map())
    programs = {p.function: bpf.get_pinned(build / p.function) for p in wanted}
    return Datapath(here, role, tables, programs, adopted, hook)


def _build(here: Path, build: Path, programs: tuple[Program, ...], sizes: Sizes, cache: Path) -> None:
    fresh = build.with_name(build.name + "-new")  # bpffs refuses names with a dot
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for source in dict.fromkeys(p.source for p in programs):
        wanted = [p for p in programs if p.source == source]
        for function, fd in _loaded(SOURCES / source, wanted, here, sizes, cache).items():
            bpf.pin(fd, fresh / function)
            os.close(fd)
    shutil.rmtree(build, ignore_errors=True)
    fresh.rename(build)


def _loaded(source: Path, programs: list[Program], here: Path, sizes: Sizes, cache: Path) -> dict[str, int]:
    """Load a source's programs; its image has those of other roles and hooks, too. One that the kernel refuses is
    compiled again: another kernel may have made the image, and the compiler says more."""
    every = dict.fromkeys(p for roles in (ROLES, XDP_ROLES) for role in roles.values() for p in role)
    all_of_it = [p.wanted() for p in every if p.source == source.name]
    for anew in (False, True):
        made = image_of(source, all_of_it, cache, anew)
        try:
            return image.load(made, [p.wanted() for p in programs], here, maps.SHARED, sizes.by_map())
        except OSError as error:
            refused = error
    raise LoadError(f"{source.name} does not load:\n{refused.strerror}")


def attach(datapath: Datapath, devices: Mapping[str, int], cgroup: int | None) -> None:
    """Attach every program of the role, or swap it into its link when one is pinned; what another hook left goes.

    devices: interface index by "underlay" and "vpc". cgroup: file descriptor of the cgroup whose sockets are served.
    The datapath's hook: "tcx", "clsact", "auto" (tcx where the kernel has it, 6.6), "xdp" or "xdpgeneric". clsact has
    no link: its filter stays by itself.
    """
    directory = datapath.root / "links"
    directory.mkdir(exist_ok=True)
    wanted = programs_of(datapath.role, datapath.hook)
    for program in wanted:
        target = devices[program.where] if program.where != "cgroup" else cgroup
        if target is None:
            raise ValueError(f"{program.function} needs a cgroup")
        if program.type == "sched_cls" and datapath.hook == "clsact":
            attach_clsact(datapath.programs[program.function], program.function, target, program.attach)
            continue
        try:
            datapath.links[program.function] = _linked(directory / program.function, program, target, datapath)
        except OSError as error:
            if program.type == "xdp":
                raise LoadError(
                    f"the driver refuses {program.function}: {error.strerror}; --hook auto asks less of it"
                ) from error
            if error.errno != errno.EINVAL or program.type != "sched_cls" or datapath.hook == "tcx":
                raise
            attach_clsact(datapath.programs[program.function], program.function, target, program.attach)
    for path in directory.iterdir():
        if path.name not in datapath.links:
            path.unlink()
    _remove_other_builds(datapath)
    for path in _homes(datapath.root.parent):
        if path != datapath.root:  # maps of another ABI: their programs would see every packet too
            shutil.rmtree(path)


def _linked(path: Path, program: Program, target: int, datapath: Datapath) -> int:
    """Return the link that carries the program: the pinned one, swapped when it had another, or a new one."""
    fd = datapath.programs[program.function]
    link = _living_link(path, program, target)
    if link is None:
        flags = XDP_HOOKS[datapath.hook] if program.type == "xdp" else 0
        link = bpf.link_create(fd, target, program.attach, flags)
        bpf.pin(link, path)
    elif bpf.link_program_id(link) != bpf.program_id(fd):
        bpf.link_update(link, fd)
    return link


def _living_link(path: Path, program: Program, target: int) -> int | None:
    """Return the pinned link when it still is where the program belongs; a link of a vanished device is removed."""
    if not path.exists():
        return None
    link = bpf.get_pinned(path)
    if program.where == "cgroup":
        alive = bpf.link_cgroup_id(link) == os.fstat(target).st_ino
    else:
        alive = bpf.link_ifindex(link) == target
    if alive:
        return link
    os.close(link)
    path.unlink()
    return None


def _remove_other_builds(datapath: Datapath) -> None:
    keep = {bpf.program_id(fd) for fd in datapath.programs.values()}
    for build in (datapath.root / "programs").iterdir():
        ids = set()
        for pinned in build.iterdir():
            fd = bpf.get_pinned(pinned)
            ids.add(bpf.program_id(fd))
            os.close(fd)
        if not ids & keep:
            shutil.rmtree(build)


def _homes(root: Path) -> list[Path]:
    """Return what any version pinned below `root`."""
    return [path for path in root.iterdir() if path.name.isdigit()] if root.exists() else []


def detach(root: Path) -> bool:
    """Remove links, programs and maps of this and every other ABI; return whether there were any. Sessions end here."""
    found = _homes(root)
    for path in found:
        shutil.rmtree(path)
    return bool(found)
