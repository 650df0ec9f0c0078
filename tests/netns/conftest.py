"""One region for the folder, built once and left whole by every test; tests that break things build their own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import CACHE
from tests.netns import cell_nodes, cells
from tests.netns.cell_ends import Server
from userspace.lab import demo, topology
from userspace.lab.down import down
from userspace.lab.lab import Lab
from userspace.lab.topology import Topology
from userspace.lab.up import up


def built(name: str, region: Topology) -> Iterator[Lab]:
    """A region with the three paths of the demo published; what an earlier run left behind goes first."""
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    lab = Lab(region, name)
    down(name, region)
    try:
        up(lab)
        demo.publish_paths(lab)
        demo.wait_until_routed(lab, within=20)
        yield lab
    finally:
        down(name, region)


@pytest.fixture(scope="session")
def region() -> Topology:
    return topology.load()


@pytest.fixture(scope="session")
def lab(region: Topology) -> Iterator[Lab]:
    yield from built("e2e", region)


@pytest.fixture(scope="session")
def cell_pins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("cells")
    subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
    with cells.built(), cell_nodes.homes(root):
        cells.keep_order()
        yield root
    subprocess.run(["umount", root], check=True)


@pytest.fixture(scope="session")
def cell_cache() -> Path:
    return CACHE


@pytest.fixture(scope="session")
def server(cell_pins: Path) -> Iterator[Server]:
    made = Server(2 << 20)
    for address in (cells.v4("server"), cells.v6("server")):
        made.listen("server", address)
    for address in (cells.VM, cells.VM6):
        made.listen("host", address)
    made.echo("server", cells.v4("server"))
    yield made
    made.close()
