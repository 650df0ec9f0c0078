"""Nanoseconds per packet of each program: repeated by BPF_PROG_TEST_RUN, and under real traffic.

program_runs.py has the packets that can be repeated, splice_runs.py those of splices. Under traffic (50 keep-alive
clients of the region, small requests and downloads of 1 MiB) the kernel itself counts (bpf_stats_enabled), with what
each cache miss costs between packets.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import splice_runs
from tests.bench.program_runs import KINDS, check, loaded, nanoseconds
from tests.bench.program_runs import publish as publish_l4
from tests.bench.region import region
from tests.bench.report import publish
from userspace.lab import demo
from userspace.lab.exec import run as run_in
from userspace.lab.lab import Lab
from userspace.node.abi import ABI_VERSION

ROUNDS = 3
SECONDS = 4
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
PROGRAMS = {"l4": ("l4_ingress",), "gw1": ("vpc_egress", "vxlan_ingress")}
NAMES = {"auto": "l4_ingress", "xdp": "l4_xdp"}
WHAT = {"steer": "ns a packet, session + FNAT", "tunnel": "ns a packet, FNAT + VXLAN, in and out"}
SPLICED = {
    "data": "ns a packet, spliced, a client's body",
    "answer": "ns a packet, spliced, an answer",
    "tunnel": "ns a packet, spliced, VXLAN, in and out",
}


@contextmanager
def counted() -> Iterator[None]:
    """Have the kernel time every program while the block runs."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def times(lab: Lab) -> dict[str, tuple[int, int]]:
    """Return (nanoseconds, runs) so far by program."""
    found = {}
    for place, names in PROGRAMS.items():
        for name in names:
            path = f"/sys/fs/bpf/unilb/{ABI_VERSION}/programs/*/{name}"
            out = run_in(lab, place, ["sh", "-c", f"bpftool prog show pinned {path} -j"]).stdout
            shown = json.loads(out)
            found[name] = (shown.get("run_time_ns", 0), shown.get("run_cnt", 0))  # absent until the first run
    return found


def drive(lab: Lab, path: str) -> None:
    url = f"http://{demo.eip(lab)}{path}"
    run_in(lab, "client", ["wrk", "-t1", "-c50", f"-d{SECONDS}", "-H", "Host: blue.example.com", url])


def repeated(samples: dict[str, dict[str, tuple[list[float], str]]]) -> None:
    for hook, kinds in KINDS.items():
        with loaded(hook) as (made, ifindex):
            publish_l4(made)
            for kind in kinds:
                check(made, hook, ifindex, kind)
                found = [nanoseconds(made, hook, ifindex, kind) for _ in range(ROUNDS)]
                samples.setdefault(NAMES[hook], {})[WHAT[kind]] = (found, "ns")


def spliced(samples: dict[str, dict[str, tuple[list[float], str]]]) -> None:
    for hook, name in splice_runs.PROGRAMS.items():
        found = samples.setdefault(name, {})
        with loaded(hook, "gateway") as (made, ifindex):
            splice_runs.prepare(made)
            for kind in splice_runs.KINDS[hook]:
                took = [splice_runs.nanoseconds(made, hook, ifindex, kind) for _ in range(ROUNDS)]
                found[SPLICED[kind]] = (took, "ns")
            for way, line in splice_runs.WAYS.items():
                took = [splice_runs.per_head_byte(made, hook, ifindex, line) for _ in range(ROUNDS)]
                found[f"guard, ns a head byte, {way}"] = (took, "ns")


def run() -> None:
    samples: dict[str, dict[str, tuple[list[float], str]]] = {}
    repeated(samples)
    spliced(samples)
    with region() as lab, counted():
        for _ in range(ROUNDS):
            for load, path in (("small requests", "/who"), ("1 MiB downloads", "/size/1048576")):
                before = times(lab)
                drive(lab, path)
                for name, (spent, runs) in times(lab).items():
                    per_run = (spent - before[name][0]) / max(1, runs - before[name][1])
                    samples.setdefault(name, {}).setdefault(f"ns per run, {load}", ([], "ns"))[0].append(per_run)
    publish("packets", ROUNDS, samples)
