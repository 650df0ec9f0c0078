"""The ways through the region: who answers, whom the endpoint sees, what is on the wire, what the cookie does."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.netns.observe import CLIENT, Log, endpoints, eventually, logs, way
from userspace.lab import demo
from userspace.lab.capture import Tunnelled, captured, frames, tunnelled
from userspace.lab.client import Reply, request
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns
VPCS = ("blue", "green", "six")  # the last is of IPv6
WAYS = ("classic", *VPCS)
SURELY_BOTH = 5  # requests: one more than there are workers, so one worker has two, and alternates


def ask(lab: Lab, name: str, target: str = "/who", cookie: str | None = None, address: str | None = None) -> Reply:
    """One request of the client's, to the EIP or straight to a gateway."""
    headers = {"Host": way(lab, name).host} | ({"Cookie": cookie} if cookie else {})
    return request(lab, "client", "GET", f"http://{address or demo.eip(lab)}{target}", headers=headers, timeout=30)


def cookie_of(reply: Reply) -> str:
    """The pair that a client sends back."""
    return reply.headers["set-cookie"].partition(";")[0]


def gateways(lab: Lab) -> list[str]:
    return [str(machine.address) for machine in lab.topology.of_role("gateway")]


@pytest.mark.parametrize("name", WAYS)
def test_each_path_is_answered_from_its_own_network_and_by_both_endpoints(lab: Lab, name: str) -> None:
    replies = [ask(lab, name) for _ in range(SURELY_BOTH)]
    assert {reply.status for reply in replies} == {200}
    assert {reply.json()["vpc"] for reply in replies} == {way(lab, name).vpc}
    assert {reply.json()["machine"] for reply in replies} == endpoints(lab, way(lab, name))


@pytest.mark.parametrize("name", WAYS)
def test_the_endpoint_is_told_the_client_behind_both_translations(lab: Lab, name: str) -> None:
    assert {ask(lab, name).json()["x_forwarded_for"] for _ in range(4)} == {CLIENT}


def test_a_client_that_names_another_in_x_forwarded_for_is_still_named_last(lab: Lab) -> None:
    headers = {"Host": "blue.example.com", "X-Forwarded-For": "192.0.2.66"}
    reply = request(lab, "client", "GET", f"http://{demo.eip(lab)}/who", headers=headers, timeout=30)
    assert reply.json()["x_forwarded_for"] == f"192.0.2.66, {CLIENT}"


@pytest.mark.parametrize("name", WAYS)
def test_the_endpoints_own_log_has_the_gateway_as_peer_and_the_client_in_x_forwarded_for(lab: Lab, name: str) -> None:
    watched = {place: Log(lab, place) for place in endpoints(lab, way(lab, name))}
    answered = [ask(lab, name, f"/logged/{name}/{n}").json()["machine"] for n in range(4)]
    if name == "classic":
        peers = set(gateways(lab))
    else:
        peers = {str(laddr) for machine in lab.topology.of_role("gateway") for laddr in machine.laddrs}
    for n, place in enumerate(answered):
        uri = f"/logged/{name}/{n}"
        entries = eventually(f"{uri} in the log of {place}", lambda p=place, u=uri: watched[p].of(u))
        assert len(entries) == 1
        assert entries[0]["remote"] in peers
        assert 1024 <= entries[0]["remote_port"] <= 65535
        assert entries[0]["x_forwarded_for"] == CLIENT


def wire(lab: Lab, folder: Path, name: str) -> list[tuple[str, Tunnelled, bool]]:
    """(host, packet, whether it carries one of ours) of what is tunnelled on both hosts while requests go to both
    endpoints by both gateways. What is not ours: kept connections to any endpoint, opened and closed as they are."""
    hosts = [machine.name for machine in lab.topology.of_role("vpc-host")]
    with captured(lab, hosts[0], folder / hosts[0]), captured(lab, hosts[1], folder / hosts[1]):
        replies = [ask(lab, name, address=address) for address in gateways(lab) for _ in range(4)]
    assert {reply.status for reply in replies} == {200}
    ours = f"{name}.example.com".encode()  # in the request, and told back in the answer
    return [
        (host, packet, ours in frame)
        for host in hosts
        for frame in frames(folder / host)
        if (packet := tunnelled(frame))
    ]


@pytest.mark.parametrize("name", VPCS)
def test_on_the_wire_is_the_tenants_vni_and_the_real_macs_in_both_directions(
    lab: Lab, tmp_path: Path, name: str
) -> None:
    t = lab.topology
    by_address = {str(machine.address): machine for machine in t.machines.values()}
    vms = {(vm.host, str(vm.address), t.vpcs[vm.vpc].vni): vm for vm in t.vms.values()}
    seen = set()
    for host, packet, is_ours in wire(lab, tmp_path, name):
        assert packet.vni == t.vpcs[name].vni or not is_ours
        towards_vm = by_address[packet.destination].name == host
        gateway = by_address[packet.source if towards_vm else packet.destination]
        assert gateway.role == "gateway"
        inner = (packet.inner_source, packet.inner_destination)
        macs = (packet.inner_source_mac, packet.inner_destination_mac)
        laddr, address = inner if towards_vm else inner[::-1]
        gateway_mac, vm_mac = macs if towards_vm else macs[::-1]
        assert ip_address(laddr) in gateway.laddrs
        assert gateway_mac == gateway.inner_mac
        assert gateway_mac.startswith("02:75:")
        assert vm_mac == vms[host, address, packet.vni].mac
        if is_ours:
            seen.add((gateway.name, host, towards_vm))
    assert seen == {(gw, host, way) for gw in ("gw1", "gw2") for host in ("host1", "host2") for way in (True, False)}


def test_classic_traffic_is_not_tunnelled(lab: Lab, tmp_path: Path) -> None:
    assert [packet for _, packet, is_ours in wire(lab, tmp_path, "classic") if is_ours] == []


@pytest.mark.parametrize("name", WAYS)
def test_a_cookie_holds_its_endpoint_on_either_gateway(lab: Lab, name: str) -> None:
    held = set()
    for _ in range(SURELY_BOTH):
        first = ask(lab, name)
        machine, cookie = first.json()["machine"], cookie_of(first)
        held.add(machine)
        for address in gateways(lab):
            replies = [ask(lab, name, cookie=cookie, address=address) for _ in range(4)]
            assert {reply.json()["machine"] for reply in replies} == {machine}
            assert all("set-cookie" not in reply.headers for reply in replies)
    assert held == endpoints(lab, way(lab, name))


def test_the_cookie_is_nobodys_business_behind_the_gateway(lab: Lab) -> None:
    cookie = cookie_of(ask(lab, "blue"))
    assert ask(lab, "blue", cookie=cookie).json()["cookie"] is None
    assert ask(lab, "blue", cookie=f"own=1; {cookie}; other=2").json()["cookie"] == "own=1; other=2"


@pytest.mark.parametrize("name", WAYS)
def test_a_forged_cookie_is_ignored_and_replaced(lab: Lab, name: str) -> None:
    replies = [ask(lab, name, cookie="UNILB=AAAAAAAAAAAAAAAAAAAAAA") for _ in range(SURELY_BOTH)]
    assert {reply.json()["machine"] for reply in replies} == endpoints(lab, way(lab, name))
    for reply in replies:
        fresh = cookie_of(reply)
        assert fresh != "UNILB=AAAAAAAAAAAAAAAAAAAAAA"
        assert ask(lab, name, cookie=fresh).json()["machine"] == reply.json()["machine"]


def test_a_cookie_of_one_tenant_means_nothing_to_another(lab: Lab) -> None:
    foreign = cookie_of(ask(lab, "blue"))
    replies = [ask(lab, "green", cookie=foreign) for _ in range(SURELY_BOTH)]
    assert {reply.json()["machine"] for reply in replies} == {"green1", "green2"}
    assert foreign not in {cookie_of(reply) for reply in replies}


def test_a_host_that_nobody_published_is_answered_404_and_reaches_no_endpoint(lab: Lab) -> None:
    watched = logs(lab)
    headers = {"Host": "nobody.example.com"}
    reply = request(lab, "client", "GET", f"http://{demo.eip(lab)}/unrouted", headers=headers, timeout=30)
    assert (reply.status, reply.json()) == (404, {"error_msg": "404 Route Not Found"})
    for name in WAYS:  # whatever was logged earlier is in the file once these are
        for _ in range(SURELY_BOTH):
            ask(lab, name, "/afterwards")
    for place, log in watched.items():
        eventually(f"a line in the log of {place}", lambda log=log: log.of("/afterwards"))
        assert log.of("/unrouted") == []
