"""Which device leads where, asked of the kernel itself."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.packets import packet_namespace
from userspace.node.routes import Routes


@pytest.fixture(scope="module")
def device() -> Iterator[int]:
    with packet_namespace() as index:
        yield index


@pytest.fixture
def routes(device: int) -> Iterator[Routes]:
    found = Routes()
    yield found
    found.close()


@pytest.mark.parametrize("address", ["10.0.0.77", "192.0.2.9", "2001:db8::77", "2001:db8:1::1"])
def test_neighbours_and_what_is_behind_the_router_are_reached_through_the_device(
    routes: Routes, device: int, address: str
) -> None:
    assert routes.device(address) == device


def test_what_no_route_leads_to_has_no_device(routes: Routes) -> None:
    subprocess.run(["ip", "route", "add", "unreachable", "198.51.100.0/24"], check=True)
    assert routes.device("198.51.100.7") == 0


def test_an_answer_is_remembered_and_only_for_a_while(
    routes: Routes, device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert routes.device("198.51.101.1") == device
    subprocess.run(["ip", "route", "add", "unreachable", "198.51.101.0/24"], check=True)
    assert routes.device("198.51.101.1") == device
    monkeypatch.setattr("userspace.node.routes.CACHED", 0.0)
    assert routes.device("198.51.101.1") == 0
