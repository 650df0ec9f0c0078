"""One region for the folder, built once and left whole by every test; tests that break things build their own."""

import os
from collections.abc import Iterator

import pytest

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
