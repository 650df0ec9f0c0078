"""`unilb doctor`: what this machine lacks, why it matters, and the command that mends it.

`gather` looks, `checks` judges: the judgement is a pure function of the facts.
"""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from userspace.node.headers import HeadersMissing, find_headers
from userspace.node.offloads import Obstacle, obstacle

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

# Bits of CapEff (capabilities(7)).
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21, "CAP_BPF": 39}
KERNEL = (6, 1)  # Debian 12's, the oldest that the programs are verified by
TCX = (6, 6)  # the first that attaches and swaps TC programs by links
UNDERLAY_MTU = 1500
VXLAN_OVERHEAD = 50
LEAST_MTU = 1280 + VXLAN_OVERHEAD  # 1280: what IPv6 asks of every link
DESCRIPTORS = 16384
PROGRAMS = {
    "clang": ("builds and checks the BPF programs outside BCC (`make lint`, `make test`)", "clang"),
    "bpftool": ("shows maps, programs and links to operators and tests", "bpftool"),
    "ip": ("builds the lab and its namespaces", "iproute2"),
    "nft": ("translates EIPs in the lab", "nftables"),
    "etcd": ("keeps the configuration of a region", "etcd-server"),
    "nginx": ("is the lab's endpoints", "nginx-light"),
}
LINK_KINDS = {
    "veth": "joins the VPC side of a gateway to its kernel, and the lab's machines to each other",
    "vxlan": "is how VPC hosts carry tenants' packets",
    "bridge": "is the lab's switches",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. None, or an empty text, is absence; `links` maps a kind to why it cannot be made, "" when it can.

    `rp_filter` and `mtu` are by device ("all" is the setting for all), `xdp` too: what keeps XDP from carrying TCP.
    `descriptors` is the hard limit of open files, `hook` how the node is to attach.
    """

    uid: int
    capabilities: frozenset[str]
    release: str
    btf: bool
    filesystems: frozenset[str]
    bcc: str
    bcc_why: str
    headers: str
    headers_why: str
    cgroup2: str
    programs: Mapping[str, str | None]
    links: Mapping[str, str | None]
    rp_filter: Mapping[str, int]
    mtu: Mapping[str, int]
    descriptors: int
    xdp: Mapping[str, Obstacle | None]
    hook: str = "auto"

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(int(n) for n in re.findall(r"\d+", self.release)[:2])


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor. `found` says what is there; `mend` is the exact command when `ok` is false."""

    name: str
    ok: bool
    found: str
    why: str
    mend: str


def checks(facts: Facts) -> list[Check]:
    """Every check, in the order in which faults hide each other: privilege and kernel first."""
    return [*_privilege(facts), *_kernel(facts), *_compiler(facts), *_programs(facts), *_network(facts)]


def _privilege(facts: Facts) -> list[Check]:
    absent = sorted(set(CAPABILITIES) - facts.capabilities)
    found = ", ".join(absent) + " not held" if absent else f"uid {facts.uid}, {', '.join(sorted(CAPABILITIES))}"
    why = "the node loads BPF programs and configures links; workers drop all privilege"
    limit = "each proxied connection takes two descriptors of a worker"
    room = f"{facts.descriptors} open files: {facts.descriptors // 2} connections per worker"
    return [
        Check("capabilities", not absent, found, why, "sudo unilb doctor"),
        Check("open files", facts.descriptors >= DESCRIPTORS, room, limit, "ulimit -Hn 65536 && ulimit -Sn 65536"),
    ]


def _kernel(facts: Facts) -> list[Check]:
    wanted = ".".join(map(str, KERNEL))
    newer = "apt-get install -t bookworm-backports linux-image-amd64 linux-headers-amd64 && reboot"
    return [
        Check(
            "kernel",
            facts.kernel >= KERNEL,
            f"{facts.release}, attaching by {'tcx' if facts.kernel >= TCX else 'clsact'}",
            f"the datapath's programs need Linux {wanted} or newer",
            newer,
        ),
        Check(
            "BTF",
            facts.btf,
            "/sys/kernel/btf/vmlinux" if facts.btf else "no /sys/kernel/btf/vmlinux",
            "types of maps and programs, for the verifier and for operators",
            newer,
        ),
        Check(
            "bpffs",
            "bpf" in facts.filesystems,
            "known to the kernel" if "bpf" in facts.filesystems else "the kernel does not know it",
            "pinned programs, maps and links outlive the node",
            newer,
        ),
        Check(
            "cgroup2",
            bool(facts.cgroup2),
            facts.cgroup2 or "not mounted",
            "the client's address is carried and read by programs on a cgroup",
            "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
        ),
    ]


def _compiler(facts: Facts) -> list[Check]:
    return [
        Check(
            "BCC",
            bool(facts.bcc),
            facts.bcc or facts.bcc_why,
            "compiles the datapath; it is Debian's python3-bpfcc (the `bcc` of PyPI is another project)",
            "apt-get install python3-bpfcc && rm -f .venv/.installed && make setup",
        ),
        Check(
            "kernel headers",
            bool(facts.headers),
            facts.headers or facts.headers_why,
            "BCC compiles against them: the running kernel's, else the newest in /usr/src",
            "apt-get install linux-headers-amd64",
        ),
    ]


def _programs(facts: Facts) -> list[Check]:
    return [
        Check(
            name,
            bool(facts.programs.get(name)),
            facts.programs.get(name) or "not found",
            why,
            f"apt-get install {package}",
        )
        for name, (why, package) in PROGRAMS.items()
    ]


def _network(facts: Facts) -> list[Check]:
    found = []
    for kind, why in LINK_KINDS.items():
        fault = facts.links.get(kind)
        text = "can be made" if fault == "" else fault or "not tried: needs root"
        found.append(Check(f"{kind} links", fault == "", text, why, f"modprobe {kind}"))
    # Linux goes by the larger of conf/all and conf/<device>; 2 in "all" makes every device loose.
    strict = sorted(d for d, value in facts.rp_filter.items() if max(value, facts.rp_filter.get("all", 0)) == 1)
    found.append(
        Check(
            "rp_filter",
            not strict,
            f"strict on {', '.join(strict)}" if strict else "off or loose",
            "answers of endpoints come in by another device than the route to them goes out; strict drops them unseen",
            "sysctl -w net.ipv4.conf.all.rp_filter=2",
        )
    )
    device, least = min(facts.mtu.items(), key=lambda item: item[1], default=("no device", UNDERLAY_MTU))
    found.append(
        Check(
            "MTU",
            least >= LEAST_MTU,
            f"{least} ({device}): VPCs of MTU {least - VXLAN_OVERHEAD} and less",
            f"VXLAN takes {VXLAN_OVERHEAD} bytes of it, and tenants need {LEAST_MTU - VXLAN_OVERHEAD}",
            f"ip link set {device} mtu {UNDERLAY_MTU}",
        )
    )
    return [*found, _xdp(facts)]


def _xdp(facts: Facts) -> Check:
    """Judged only when the node is to attach that way: TC, its default, minds no offload."""
    unfit = {device: found for device, found in facts.xdp.items() if found is not None}
    fit = sorted(facts.xdp.keys() - unfit.keys())
    said = [f"would lose TCP on {device}, {found.why}" for device, found in sorted(unfit.items())]
    return Check(
        "XDP",
        not unfit or not facts.hook.startswith("xdp"),
        "; ".join(([f"fit: {', '.join(fit)}"] if fit else []) + said) or "no device",
        "XDP knows no checksum but the one in the packet, so its senders must have completed it",
        " && ".join(found.mend for found in unfit.values()),
    )


def gather(hook: str = "auto") -> Facts:
    """Look at this machine. Changes nothing: trials run in a network namespace and a folder that vanish."""
    bcc, bcc_why = _bcc()
    headers, headers_why = _headers()
    return Facts(
        uid=os.geteuid(),
        capabilities=_capabilities(Path("/proc/self/status").read_text()),
        release=platform.release(),
        btf=Path("/sys/kernel/btf/vmlinux").exists(),
        filesystems=frozenset(line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()),
        bcc=bcc,
        bcc_why=bcc_why,
        headers=headers,
        headers_why=headers_why,
        cgroup2=_cgroup2(Path("/proc/self/mounts").read_text()),
        programs={name: _program(name) for name in PROGRAMS},
        links={kind: _trial(kind) for kind in LINK_KINDS},
        rp_filter={p.parent.name: int(p.read_text()) for p in Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter")},
        mtu={p.parent.name: int(p.read_text()) for p in Path("/sys/class/net").glob("*/mtu") if p.parent.name != "lo"},
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        xdp={p.name: obstacle(p.name) for p in Path("/sys/class/net").iterdir() if p.name != "lo"},
        hook=hook,
    )


def _capabilities(status: str) -> frozenset[str]:
    held = int(re.findall(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)[0], 16)
    return frozenset(name for name, bit in CAPABILITIES.items() if held >> bit & 1)


def _cgroup2(mounts: str) -> str:
    return next((line.split()[1] for line in mounts.splitlines() if line.split()[2] == "cgroup2"), "")


def _bcc() -> tuple[str, str]:
    """(version, "") or ("", why not). In a process of its own: bcc keeps 145 MB of LLVM."""
    look = "import bcc; from bcc import BPF, libbcc; print(bcc.__version__)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    return (done.stdout.strip(), "") if done.returncode == 0 else ("", lines[-1] if lines else "import fails")


def _headers() -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as cache:
        try:
            tree = find_headers(Path(cache))
        except HeadersMissing as missing:
            return "", str(missing)
        # A joined tree is the cache's; what was found is where its links lead.
        return str(tree if not tree.is_relative_to(cache) else (tree / "include/generated").resolve().parents[1]), ""


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")


def _trial(kind: str) -> str | None:
    """Make a link of a kind where nobody sees it; "" when that works, None when it cannot be tried."""
    more = ["id", "1", "dstport", "4789"] if kind == "vxlan" else []
    if os.geteuid() != 0 or not _program("ip"):
        return None
    argv = ["unshare", "--net", _program("ip") or "ip", "link", "add", "trial", "type", kind, *more]
    done = subprocess.run(argv, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip() or "cannot be made"


def report(found: Sequence[Check]) -> str:
    """One line per check; under a missing one why it matters and what mends it."""
    width = max(len(check.name) for check in found)
    lines = []
    for check in found:
        lines.append(f"{'ok     ' if check.ok else 'missing'}  {check.name.ljust(width)}  {check.found}")
        if not check.ok:
            lines += [f"{'':9}{check.why}", f"{'':9}mend: {check.mend}"]
    return "\n".join(lines)


def add_parser(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("doctor", help="what this machine lacks, and the command that mends it")
    parser.add_argument("--hook", default="auto", help="as `unilb node` is to be given it: xdp asks more of devices")
    parser.add_argument("--json", action="store_true", help="a list of objects: name, ok, found, why, mend")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    found = checks(gather(args.hook))
    text = json.dumps([asdict(check) for check in found], indent=2) if args.json else report(found)
    sys.stdout.write(text + "\n")
    return 0 if all(check.ok for check in found) else 1
