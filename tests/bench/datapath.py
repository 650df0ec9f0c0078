"""Throughput of the L4 node beside the kernel's own routing, NAT and vxlan device, in one run on the same wires.

The cells of tests/netns: client and server on one switch, the L4 node between them as a router with one leg. iperf3
sends for some seconds by each way: routed by the kernel, translated by nftables (both ends), by the L4 node on TC and
on XDP; then into a VPC: routed into the kernel's vxlan device, and by the L4 node. XDP needs wires without offloads, so
the kernel's ways are measured on those as well; before ours, whose programs would take its tunnel's packets.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.report import Ratio, publish
from tests.netns import cell_nodes, cells
from tests.netns.cells import VIP, VM, VNI, inside, ip, v4
from userspace.config.compile_datapath import DatapathPlan, TargetPlan
from userspace.node import datapath
from userspace.node.apply import inner_mac

ROUNDS = 3
SECONDS = 2
MTU = 1500
PORT = 5201
NAT_VIP, NAT_LADDR = "10.99.0.77", "10.98.0.77"
Samples = dict[str, dict[str, tuple[list[float], str]]]


def plan() -> DatapathPlan:
    """The cells' plan, with iperf3's port for the server and another for the VM."""
    base = cell_nodes.l4_plan(MTU)
    services = {(VIP, PORT, 6): {TargetPlan(v4("server"), PORT): 1}, (VIP, PORT + 1, 6): {TargetPlan(VM, PORT, VNI): 1}}
    return DatapathPlan(hosts=base.hosts, vteps=base.vteps, services=services, vips=base.vips, laddrs=base.laddrs)


@contextmanager
def serving(place: str, address: str) -> Iterator[None]:
    """Have iperf3 listen."""
    with inside(place):
        argv = ["iperf3", "-s", "-B", address, "-p", str(PORT), "--forceflush"]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        while "listening" not in server.stdout.readline():
            assert server.poll() is None, "iperf3 has ended"
        yield
    finally:
        server.terminate()
        server.communicate()


def gigabits(to: str, port: int = PORT) -> float:
    """Return how much of a second's sending to an address arrives, in Gbit."""
    with inside("client"):
        argv = ["iperf3", "-c", to, "-p", str(port), "-t", str(SECONDS), "-J"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS + 20)
    said = json.loads(done.stdout)
    assert "error" not in said, said["error"]
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e9


def kernel_ways() -> None:
    """Make the L4 machine a router, a translator and a VTEP of the kernel's own, for addresses that are not the VIP."""
    ip("client", f"route replace {NAT_VIP} via {v4('l4')}", f"route replace {VM} via {v4('l4')}")
    ip("client", f"route replace {v4('server')}/32 via {v4('l4')}")
    ip("server", f"route replace {v4('client')}/32 via {v4('l4')}", f"route replace {NAT_LADDR} via {v4('l4')}")
    ip(
        "l4",
        f"link add vx address {inner_mac(v4('l4'))} mtu {MTU - 50} type vxlan id {VNI} local {v4('l4')} dstport 4789"
        " nolearning",
        "address add 192.168.0.1/24 dev vx",
        "link set vx up",
        f"neighbour add {VM} lladdr {cells.VM_MAC} dev vx nud permanent",
    )
    entry = f"fdb append {cells.VM_MAC} dev vx dst {v4('host')} self permanent"
    subprocess.run(["bridge", "-n", "cell-l4", *entry.split()], check=True)
    ip("host", f"route replace {v4('client')}/32 via 169.254.0.1 dev vx onlink")
    table = f"""
        table ip nat {{
            chain pre {{ type nat hook prerouting priority dstnat; ip daddr {NAT_VIP} dnat to {v4("server")}; }}
            chain post {{ type nat hook postrouting priority srcnat;
                          ct original ip daddr {NAT_VIP} snat to {NAT_LADDR}; }}
        }}"""
    with inside("l4"):
        subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
        subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)


@contextmanager
def on(hook: str, pins: Path, cache: Path) -> Iterator[None]:
    """Have the L4 node up while the block runs."""
    node = cell_nodes.bring_up("l4", hook, MTU, pins, cache, plan())
    try:
        yield
    finally:
        node.close()
        datapath.detach(pins / "l4")


KERNEL = {
    "kernel routing": (v4("server"), PORT),
    "kernel NAT (nftables)": (NAT_VIP, PORT),
    "kernel routing + vxlan": (VM, PORT),
}
OURS = {"FNAT": (VIP, PORT), "FNAT + VXLAN": (VIP, PORT + 1)}
# (ours, the kernel's that does as much)
BESIDE = (
    ("FNAT", "kernel routing"),
    ("FNAT", "kernel NAT (nftables)"),
    ("FNAT + VXLAN", "kernel routing + vxlan"),
)


def run() -> None:
    samples: Samples = {}

    def sample(ways: dict[str, tuple[str, int]], prefix: str, metric: str) -> None:
        for name, to in ways.items():
            found = samples.setdefault(prefix + name, {}).setdefault(metric, ([], "Gbit/s"))
            found[0].append(gigabits(*to))

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pins = folder / "cells"
        pins.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", pins], check=True)
        stack.callback(subprocess.run, ["umount", pins], check=True)
        stack.enter_context(cells.built())
        stack.enter_context(cell_nodes.homes(pins))
        cells.set_wires(MTU, offloads=True)
        kernel_ways()
        stack.enter_context(serving("server", v4("server")))
        stack.enter_context(serving("host", VM))
        for hook, offloads in (("auto", True), ("auto", False), ("xdp", False)):
            cells.set_wires(MTU, offloads)
            metric = f"offloads {'on' if offloads else 'off'}"
            for _ in range(ROUNDS if hook != "xdp" else 0):
                sample(KERNEL, "", metric)
            with on(hook, pins, folder):
                for _ in range(ROUNDS):
                    sample(OURS, "XDP: " if hook == "xdp" else "TC: ", metric)
    ratios = [
        Ratio(f"{hook}: {ours}", theirs, f"offloads {offloads}")
        for hook, offloads in (("TC", "on"), ("TC", "off"), ("XDP", "off"))
        for ours, theirs in BESIDE
    ]
    publish("datapath", ROUNDS, samples, ratios)
