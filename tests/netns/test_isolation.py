"""Two tenants with the same addresses and MACs, under load at the same time: nothing of one reaches the other."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.netns.observe import Log, eventually, kept
from userspace.lab import demo
from userspace.lab.capture import captured, frames, tunnelled
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns
TENANTS = ("blue", "green")
CONNECTIONS = 24
REQUESTS = 100  # on each connection


@dataclass(frozen=True)
class Load:
    """What the load left: answers as (tenant asked for, URI, JSON answered), capture files and logs by place."""

    answers: list[tuple[str, str, dict[str, object]]]
    captures: dict[str, Path]
    logs: dict[str, Log]


def other(tenant: str) -> str:
    return TENANTS[1 - TENANTS.index(tenant)]


def hammer(lab: Lab, number: int) -> list[tuple[str, str, dict[str, object]]]:
    """One connection that asks for both tenants in random order. Raises what http.client raises."""
    chosen = random.Random(number)
    found = []
    with kept(lab, demo.eip(lab), timeout=60) as connection:
        for n in range(REQUESTS):
            tenant = chosen.choice(TENANTS)
            uri = f"/{tenant}/{number}/{n}"
            connection.request("GET", uri, headers={"Host": f"{tenant}.example.com"})
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            found.append((tenant, uri, json.loads(body)))
    return found


@pytest.fixture(scope="module")
def load(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    folder = tmp_path_factory.mktemp("captured")
    vms = [vm.name for vm in lab.topology.vms.values()]
    hosts = [machine.name for machine in lab.topology.of_role("vpc-host")]
    captures = {place: folder / place for place in (*hosts, *vms)}
    watched = {vm: Log(lab, vm) for vm in vms}
    with ExitStack() as stack:
        for place, file in captures.items():
            expression = "udp port 4789" if place in hosts else "tcp port 80"
            stack.enter_context(captured(lab, place, file, expression))
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = [answer for found in pool.map(lambda n: hammer(lab, n), range(CONNECTIONS)) for answer in found]
        for tenant in TENANTS:
            asked = sum(answer[0] == tenant for answer in answers)
            own = [log for vm, log in watched.items() if vm.startswith(tenant)]
            eventually(f"{asked} lines", lambda own=own, asked=asked: sum(len(x.entries()) for x in own) >= asked)
    yield Load(answers, captures, watched)


def test_every_answer_is_its_own_tenants_and_its_own_requests(load: Load) -> None:
    assert len(load.answers) == CONNECTIONS * REQUESTS
    for tenant, uri, answer in load.answers:
        assert (answer["vpc"], answer["uri"], answer["host"]) == (tenant, uri, f"{tenant}.example.com")
    assert {answer["machine"] for _, _, answer in load.answers} == {"blue1", "blue2", "green1", "green2"}


def test_each_vms_log_holds_its_own_tenants_requests_once_and_nothing_else(load: Load) -> None:
    for tenant in TENANTS:
        logged = [entry for vm, log in load.logs.items() if vm.startswith(tenant) for entry in log.entries()]
        assert {entry["host"] for entry in logged} == {f"{tenant}.example.com"}
        assert sorted(entry["uri"] for entry in logged) == sorted(uri for who, uri, _ in load.answers if who == tenant)


def test_the_addresses_and_macs_of_both_tenants_on_the_wire_are_the_same(lab: Lab, load: Load) -> None:
    vnis = {lab.topology.vpcs[tenant].vni for tenant in TENANTS}
    seen: dict[int, set[tuple[str, str]]] = {}
    for packet in map(tunnelled, (frame for host in ("host1", "host2") for frame in frames(load.captures[host]))):
        if packet and packet.vni in vnis and packet.inner_destination_mac.startswith("02:00:"):
            seen.setdefault(packet.vni, set()).add((packet.inner_destination, packet.inner_destination_mac))
    assert set(seen) == vnis
    assert len(set(map(frozenset, seen.values()))) == 1


@pytest.mark.parametrize("host", ["host1", "host2"])
def test_no_packet_of_a_vni_carries_the_other_tenants_bytes(lab: Lab, load: Load, host: str) -> None:
    carried = dict.fromkeys(TENANTS, 0)
    by_vni = {lab.topology.vpcs[tenant].vni: tenant for tenant in TENANTS}
    for frame in frames(load.captures[host]):
        packet = tunnelled(frame)
        if packet is None:
            continue
        tenant = by_vni.get(packet.vni)
        if tenant is None:  # kept connections of a third VPC
            assert b"/blue/" not in frame and b"/green/" not in frame
            continue
        assert f"Host: {other(tenant)}".encode() not in frame
        assert f'"vpc": "{other(tenant)}"'.encode() not in frame
        carried[tenant] += f"Host: {tenant}".encode() in frame or f'"vpc": "{tenant}"'.encode() in frame
    assert min(carried.values()) > CONNECTIONS * REQUESTS / 10


@pytest.mark.parametrize("vm", ["blue1", "blue2", "green1", "green2"])
def test_no_packet_for_one_tenant_reaches_a_vm_of_the_other(load: Load, vm: str) -> None:
    tenant = vm.rstrip("12")
    packets = list(frames(load.captures[vm]))
    assert [frame for frame in packets if f"{other(tenant)}.example.com".encode() in frame] == []
    assert sum(f"{tenant}.example.com".encode() in frame for frame in packets) > CONNECTIONS * REQUESTS / 10
