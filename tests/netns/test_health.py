"""Endpoints in a VPC are checked through their VPC, by every gateway; what is down gets no request, and all say so."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.netns.observe import Log, endpoints, eventually, health, metrics, service, way
from userspace.lab import services
from userspace.lab.client import request
from userspace.lab.lab import Lab
from userspace.lab.publish import admin

pytestmark = pytest.mark.netns
CHECKS = {"active": {"http_path": "/checked", "healthy": {"successes": 1}, "unhealthy": {"tcp_failures": 1}}}
HOST = "checked.example.com"


@pytest.fixture
def checked(lab: Lab) -> Iterator[None]:
    """An upstream of the VMs of VPC blue, checked, and a route to it."""
    vms = [vm for vm in lab.topology.vms.values() if vm.vpc == "blue"]
    upstream = {"vpc_id": "blue", "nodes": {f"{vm.address}:80": 1 for vm in vms}, "checks": CHECKS}
    route = {"host": HOST, "uri": "/*", "upstream_id": "checked"}
    assert admin(lab, "PUT", "/apisix/admin/upstreams/checked", upstream).status == 201
    assert admin(lab, "PUT", "/apisix/admin/routes/checked", route).status == 201
    yield
    services.up(lab)
    assert admin(lab, "DELETE", "/apisix/admin/routes/checked").status == 200
    assert admin(lab, "DELETE", "/apisix/admin/upstreams/checked").status == 200


def gateways(lab: Lab) -> list[str]:
    return [machine.name for machine in lab.topology.of_role("gateway")]


def ups(lab: Lab, gateway: str) -> dict[str, float]:
    prefix = "unilb_endpoint_up upstream=checked endpoint="
    return {name.removeprefix(prefix): n for name, n in metrics(lab, gateway).items() if name.startswith(prefix)}


def who(lab: Lab, gateway: str) -> str:
    address = lab.topology.machines[gateway].address
    reply = request(lab, "client", "GET", f"http://{address}/who", headers={"Host": HOST}, timeout=30)
    return str(reply.json()["machine"]) if reply.status == 200 else str(reply.status)


def control_says(lab: Lab) -> list[dict[str, Any]]:
    """The endpoints as the Control API has them, on the machine that serves it."""
    url = "http://127.0.0.1:9090/v1/healthcheck/upstreams/checked"
    reply = request(lab, lab.topology.control.name, "GET", url)
    return list(reply.json()["nodes"]) if reply.status == 200 else []


@pytest.mark.usefixtures("checked")
def test_a_vm_that_stops_answering_is_down_on_every_gateway_until_it_answers(lab: Lab) -> None:
    here = sorted(endpoints(lab, way(lab, "blue")))
    victim = here[0]
    log = Log(lab, victim)
    for gateway in gateways(lab):
        eventually(f"{gateway} has checked both", lambda g=gateway: len(ups(lab, g)) == 2)
        assert set(ups(lab, gateway).values()) == {1.0}
        assert all(address.startswith("100.64.") for address in ups(lab, gateway))

    # Probes come through the tunnel, from the addresses that the gateways use toward VPCs.
    probes = eventually("both gateways probed the VM", lambda: log.of("/checked"))
    laddrs = {str(laddr) for machine in lab.topology.of_role("gateway") for laddr in machine.laddrs}
    assert {probe["remote"] for probe in probes} <= laddrs

    services.stop(lab, service(lab, victim, "nginx"))  # not by SIGKILL: its workers would answer on
    for gateway in gateways(lab):
        down = eventually(f"{gateway} says it", lambda g=gateway: health(lab, g)["endpoints_down"].get("checked"))
        assert len(down) == 1 and sorted(ups(lab, gateway).values()) == [0.0, 1.0]
        assert {who(lab, gateway) for _ in range(6)} == {here[1]}
    said = eventually("the Control API says it", lambda: [n for n in control_says(lab) if n["status"] == "unhealthy"])
    assert [node["ip"] + ":80" for node in said] == down and said[0]["counter"]["tcp_failure"] >= 1

    services.up(lab)
    for gateway in gateways(lab):
        eventually(f"{gateway} has it back", lambda g=gateway: set(ups(lab, g).values()) == {1.0})
        eventually("and sends it requests", lambda g=gateway: {who(lab, g) for _ in range(6)} == set(here))
