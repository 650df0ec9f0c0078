"""Labs of the test run's own: their names hold the pid, so that they stand beside any other lab of this machine."""

import os
from collections.abc import Iterator

import pytest

from tests.userspace.lab.underlay6 import over_ipv6
from userspace.lab import topology
from userspace.lab.down import down
from userspace.lab.lab import Lab
from userspace.lab.topology import Topology
from userspace.lab.up import up


@pytest.fixture(scope="session")
def region() -> Topology:
    return topology.load()


@pytest.fixture(scope="session")
def region6(region: Topology) -> Topology:
    """The region with an underlay of IPv6 too, which VPC six runs over; the L4 node has no address there."""
    return topology.parse(over_ipv6(region.text))


@pytest.fixture
def lab(region: Topology) -> Iterator[Lab]:
    """A lab for one test to build and to break; nothing is built yet."""
    own = Lab(region, f"t{os.getpid()}")
    yield own
    down(own.name, region)


@pytest.fixture(scope="module")
def fabric(region: Topology) -> Iterator[Lab]:
    """A lab without services, for tests that only use it."""
    shared = Lab(region, f"f{os.getpid()}")
    up(shared, only=())
    yield shared
    down(shared.name, region)


@pytest.fixture(scope="module")
def webs(region: Topology) -> Iterator[Lab]:
    """A lab with its endpoints running."""
    shared = Lab(region, f"w{os.getpid()}")
    up(shared, only=("nginx",))
    yield shared
    down(shared.name, region)
