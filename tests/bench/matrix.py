"""200 MiB each way in every cell of {TC, XDP} x {offloads} x {MTU} x {IPv4, IPv6, into a VPC}, by digest, and how fast.

What tests/netns/test_matrix.py does with 2 MiB. Every machine's counters of wrong checksums, refused segments and lost
ICMP errors must stand still; the run ends with the first cell where they do not.
"""

import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.report import publish
from tests.netns import cell_nodes, cells
from tests.netns.cell_ends import VPC_WEB, WEB, Server, counters, transfer
from tests.netns.cells import UNIQUE, UNIQUE6, VIP, VIP6

SIZE = 200 << 20
CELLS = [
    (hook, offloads, mtu)
    for hook, offloads in (("auto", True), ("auto", False), ("xdp", False))
    for mtu in (1500, 1450, 9000)
]
WAYS = {
    "IPv4": ("client", (VIP, WEB)),
    "IPv6": ("client", (VIP6, WEB)),
    "IPv4 into a VPC": ("client", (VIP, VPC_WEB)),
    "IPv6 into a VPC": ("client", (VIP6, VPC_WEB)),
    "gateway, IPv4 into a VPC": ("gateway", (UNIQUE, WEB)),
    "gateway, IPv6 into a VPC": ("gateway", (UNIQUE6, WEB)),
}


def run() -> None:
    samples: dict[str, dict[str, tuple[list[float], str]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pins = folder / "cells"
        pins.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", pins], check=True)
        stack.callback(subprocess.run, ["umount", pins], check=True)
        stack.enter_context(cells.built())
        cells.keep_order()
        stack.enter_context(cell_nodes.homes(pins))
        server = Server(SIZE)
        stack.callback(server.close)
        for address in (cells.v4("server"), cells.v6("server")):
            server.listen("server", address)
        for address in (cells.VM, cells.VM6):
            server.listen("host", address)
        for hook, offloads, mtu in CELLS:
            cells.set_wires(mtu, offloads)
            nodes = [cell_nodes.bring_up(node, hook, mtu, pins, folder) for node in cell_nodes.NODES]
            before = counters()
            cell = f"{'xdp' if hook == 'xdp' else 'tc'} {'with' if offloads else 'no'} offloads {mtu}"
            for way, (place, to) in WAYS.items():
                started = time.monotonic()
                transfer(place, to, server)
                rate = 2 * 8 * SIZE / (time.monotonic() - started) / 1e9
                samples.setdefault(cell, {})[way] = ([rate], "Gbit/s")
            grown = {key: n - before[key] for key, n in counters().items() if n != before[key]}
            if grown:
                raise SystemExit(f"{cell}: {grown}")
            for node in nodes:
                node.close()
    publish("matrix", 1, samples)
