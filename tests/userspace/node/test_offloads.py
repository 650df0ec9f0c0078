"""userspace/node/offloads.py: what the other end of a veth must have switched off, wherever it is."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.packets import packet_namespace
from userspace.node import offloads

pytestmark = pytest.mark.netns
FAR = "offloads-far"


@pytest.fixture
def here() -> Iterator[None]:
    with packet_namespace():
        yield


@pytest.fixture
def far(here: None) -> Iterator[str]:
    """A veth whose other end is in a namespace with a name."""
    subprocess.run(["ip", "netns", "add", FAR], check=True)
    try:
        subprocess.run(["ip", "link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns", FAR], check=True)
        yield "near0"
    finally:
        subprocess.run(["ip", "netns", "del", FAR], check=True)


def test_a_peer_that_leaves_checksums_open_and_takes_no_frames_is_told_with_the_command(here: None) -> None:
    found = offloads.obstacle("u0")
    assert found is not None
    assert found.why == (
        "its peer u1 leaves checksums to hardware that is not there and takes no frames from XDP without GRO"
    )
    assert found.mend == "ethtool -K u1 tx off gro on"


def test_a_peer_in_another_namespace_is_found_there(far: str) -> None:
    found = offloads.obstacle(far)
    assert found is not None
    assert found.mend == f"ip netns exec {FAR} ethtool -K far0 tx off gro on"
    subprocess.run(found.mend.split(), check=True, capture_output=True)
    assert offloads.obstacle(far) is None


@pytest.mark.parametrize(("setting", "mend"), [("tx off", "gro on"), ("gro on", "tx off")])
def test_each_of_the_two_is_told_alone(here: None, setting: str, mend: str) -> None:
    subprocess.run(["ethtool", "-K", "u1", *setting.split()], check=True, capture_output=True)
    found = offloads.obstacle("u0")
    assert found is not None
    assert found.mend == f"ethtool -K u1 {mend}"


def test_devices_of_other_drivers_have_no_peer(here: None) -> None:
    assert offloads.driver("u0") == "veth"
    assert offloads.driver("lo") == ""
    assert offloads.obstacle("lo") is None
