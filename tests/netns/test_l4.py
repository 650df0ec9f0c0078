"""The L4 tier from outside: DSR, over the loss of an L4 node too; targets checked the way of data; ended sessions."""

import hashlib
import http.client
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.netns.conftest import built
from tests.netns.observe import (
    CLIENT,
    checksum_errors,
    drops,
    eventually,
    grown,
    health,
    kept,
    metrics,
    service,
    sha256_of,
)
from tests.userspace.lab.underlay6 import over_ipv6
from userspace.lab import demo, services, topology
from userspace.lab.capture import captured, frames, tunnelled
from userspace.lab.client import request
from userspace.lab.exec import connect, open_socket, run
from userspace.lab.lab import Lab
from userspace.lab.publish import admin

pytestmark = pytest.mark.netns
VIP, HOST = "10.100.0.20", "classic.example.com"
SECOND = """
  l4b: # takes over from l4
    role: l4
    zone: core
    addresses: {core: 10.0.0.11}
    laddrs: [10.101.1.1]
    prefixes: [10.101.0.0/16]
"""
SIZE = 100 << 20


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A region with two L4 nodes and a DSR VIP; the router sends its clients to the first. VPC six is behind VTEPs of
    IPv6."""
    text = topology.DEFAULT_PATH.read_text().replace("\n  gw1:\n", f"{SECOND}  gw1:\n", 1)
    for lab in built("e2edsr", topology.parse(over_ipv6(text))):
        publish(lab)
        yield lab


def publish(lab: Lab) -> None:
    vip = {"address": VIP, "port": 80, "mode": "dsr", "targets": [{"node": n, "port": 80} for n in ("gw1", "gw2")]}
    assert admin(lab, "PUT", "/unilb/vips/dsr", vip).status == 201
    for node in ("l4", "l4b"):
        eventually(f"{node} steers", lambda n=node: ring(lab, n) is not None)
    eventually("gateways have the VIP", lambda: status(lab) == 200)


def ring(lab: Lab, node: str) -> float | None:
    return metrics(lab, node).get(f"unilb_ring_checksum owner={VIP}:80/tcp")


def status(lab: Lab, vip: str = VIP) -> int | str:
    """Who answers a VIP straight to VMs; else the status; 0 for no answer."""
    try:
        reply = request(lab, "client", "GET", f"http://{vip}/who", headers={"Host": HOST}, timeout=1)
    except OSError:
        return 0
    return reply.status if vip == VIP else str(reply.json()["machine"])


def event(lab: Lab, node: str, name: str) -> float:
    return metrics(lab, node).get(f"unilb_datapath_events_total event={name}", 0)


def get(connection: http.client.HTTPConnection, uri: str) -> http.client.HTTPResponse:
    connection.request("GET", uri, headers={"Host": HOST})
    response = connection.getresponse()
    assert response.status == 200
    return response


def test_the_client_is_answered_without_the_l4_node_and_its_address_arrives_as_it_is(two: Lab) -> None:
    before = {node: drops(two, node) for node in ("l4", "gw1", "gw2")}
    answers = two.state / "answers.pcap"
    with captured(two, "l4", answers, f"tcp and src host {VIP} and dst host {CLIENT}"):
        for _ in range(6):
            reply = request(two, "client", "GET", f"http://{VIP}/who", headers={"Host": HOST})
            assert (reply.status, reply.json()["x_forwarded_for"]) == (200, CLIENT)
    assert {node: grown(before[node], drops(two, node)) for node in before} == {"l4": {}, "gw1": {}, "gw2": {}}
    taken = {gw: event(two, gw, "dsr_taken") for gw in ("gw1", "gw2")}
    assert all(taken.values()), taken
    assert metrics(two, "gw1")["unilb_vtep_packets_total vtep=10.0.0.10 vni=dsr"] > 0
    assert list(frames(answers)) == []


def test_both_l4_nodes_have_one_ring_and_gateways_answer_no_arp_for_the_vip(two: Lab) -> None:
    assert ring(two, "l4") == ring(two, "l4b")
    assert f"local {VIP} " in run(two, "gw1", ["ip", "route", "show", "table", "local", "proto", "75"]).stdout
    for name, value in (("arp_ignore", "1"), ("arp_announce", "2")):
        assert run(two, "gw1", ["cat", f"/proc/sys/net/ipv4/conf/eth0/{name}"]).stdout.strip() == value


def test_an_upload_fits_the_tunnel(two: Lab) -> None:
    """The client's segments are as long as the gateway's SYN-ACK has offered: with more, none would come through."""
    places = ("client", "router", "l4", "gw1", "gw2")
    errors, before = checksum_errors(two, places), {node: drops(two, node) for node in ("l4", "gw1", "gw2")}
    body = os.urandom(8 << 20)
    with kept(two, VIP, timeout=60) as connection:
        mss = struct.unpack("I", connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 4))[0]
        assert mss == 1500 - 28 - 40 - 12  # and its own timestamps
        connection.request("PUT", "/upload/dsr", body=body, headers={"Host": HOST})
        response = connection.getresponse()
        cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
        assert response.status == 201, response.read()
        response.read()
        for method, expected in (("GET", body), ("DELETE", b"")):
            connection.request(method, "/upload/dsr", headers={"Host": HOST, "Cookie": cookie})
            assert connection.getresponse().read() == expected
    assert {node: grown(before[node], drops(two, node)) for node in before} == {"l4": {}, "gw1": {}, "gw2": {}}
    assert checksum_errors(two, places) == errors


@pytest.fixture
def first_again(two: Lab) -> Iterator[None]:
    """The first L4 node is back afterwards, and has the VIP's clients."""
    yield
    run(two, "router", ["ip", "route", "del", f"{VIP}/32"], check=False)
    services.up(two)


def opened(lab: Lab, node: str) -> float:
    return metrics(lab, node)[f"unilb_sessions_opened_total owner={VIP}:80/tcp"]


@pytest.mark.usefixtures("first_again")
def test_a_lost_l4_node_breaks_no_connection(two: Lab) -> None:
    with kept(two, VIP, timeout=60) as connection:
        get(connection, "/who").read()
        response = get(connection, f"/size/{SIZE}")
        digest = hashlib.sha256(response.read(1 << 20))
        node = service(two, "l4")
        services.stop(two, node)
        run(two, "l4", [services.unilb(), "node", "--detach"])
        run(two, "router", ["ip", "route", "replace", f"{VIP}/32", "via", "10.0.0.11"])
        while piece := response.read(1 << 20):
            digest.update(piece)
        assert digest.hexdigest() == sha256_of(two.state / "files" / str(SIZE))
        get(connection, "/who").read()
        assert event(two, "l4b", "ring_only") > 0
        assert opened(two, "l4b") == 0
    assert status(two) == 200
    assert opened(two, "l4b") == 1


def test_a_vpc_behind_vteps_of_ipv6_is_reached_as_any_other(two: Lab, tmp_path: Path) -> None:
    places = ("client", "gw1", "gw2", "host1", "host2", "six1", "six2")
    errors = checksum_errors(two, places)
    digest = hashlib.sha256((two.state / "files" / str(1 << 20)).read_bytes()).hexdigest()
    url, headers = f"http://{demo.eip(two)}/size/{1 << 20}", {"Host": "six.example.com"}
    with captured(two, "host1", tmp_path / "host1"), captured(two, "host2", tmp_path / "host2"):
        for _ in range(8):
            assert hashlib.sha256(request(two, "client", "GET", url, headers=headers).body).hexdigest() == digest
    packets = [p for host in ("host1", "host2") for f in frames(tmp_path / host) if (p := tunnelled(f))]
    seen = {(p.vni, p.destination, p.inner_destination) for p in packets if p.inner_destination.startswith("fd00:")}
    assert seen == {(10030, "fd10:1::31", "fd00:a::10"), (10030, "fd10:2::32", "fd00:a::11")}
    assert {p.source for p in packets if p.inner_source.startswith("fd18:")} == {"fd10:1::11", "fd10:2::12"}
    assert checksum_errors(two, places) == errors


VMS, BLUE = "10.100.0.21", "10010/192.168.0.10:80"


@pytest.fixture
def vms(two: Lab) -> Iterator[None]:
    """A VIP straight to the VMs of VPC blue."""
    targets = [{"vpc_id": "blue", "address": f"192.168.0.{n}", "port": 80} for n in (10, 11)]
    check = {"interval": 1, "rise": 1, "fall": 2}
    assert admin(two, "PUT", "/unilb/vips/vms", {"address": VMS, "port": 80, "targets": targets, "check": check})
    yield
    run(two, "host1", ["ip", "link", "set", "blue1", "up"])
    assert admin(two, "DELETE", "/unilb/vips/vms").status == 200


def ups(lab: Lab, vip: str) -> dict[str, float]:
    prefix = f"unilb_endpoint_up upstream=vips/{vip} endpoint="
    return {name.removeprefix(prefix): n for name, n in metrics(lab, "l4").items() if name.startswith(prefix)}


def who(connection: http.client.HTTPConnection) -> str:
    return str(json.loads(get(connection, "/who").read())["machine"])


@pytest.mark.usefixtures("vms")
def test_a_vm_is_checked_in_its_vpc_and_one_that_is_down_takes_no_session_and_keeps_none(two: Lab) -> None:
    eventually("both VMs have been checked", lambda: len(ups(two, "vms")) == 2)
    wire = two.state / "probes.pcap"
    with captured(two, "host1", wire, "udp port 4789 and src host 10.0.0.10"):
        eventually("a probe has passed", lambda: wire.stat().st_size > 1000)
    seen = {(p.vni, p.inner_source, p.inner_destination) for f in frames(wire) if (p := tunnelled(f))}
    assert {(vni, to) for vni, _, to in seen} == {(10010, "192.168.0.10")}
    assert {source for _, source, _ in seen} <= {"10.100.1.1", "10.100.1.2"}
    assert set(ups(two, "vms").values()) == {1.0}

    def held_by(vm: str) -> http.client.HTTPConnection:
        while who(connection := stack.enter_context(kept(two, VMS))) != vm:
            pass
        return connection

    with ExitStack() as stack:
        lost, stays = held_by("blue1"), held_by("blue2")
        run(two, "host1", ["ip", "link", "set", "blue1", "down"])
        down = eventually("blue1 is down", lambda: health(two, "l4")["endpoints_down"].get("vips/vms"))
        assert down == [BLUE] and ups(two, "vms") == {BLUE: 0.0, "10010/192.168.0.11:80": 1.0}
        assert metrics(two, "l4")["unilb_endpoint_transitions_total upstream=vips/vms to=down"] == 1
        with pytest.raises(ConnectionResetError):
            lost.sock.recv(1)
        assert who(stays) == "blue2"
        for _ in range(6):
            with kept(two, VMS) as connection:
                assert who(connection) == "blue2"
    run(two, "host1", ["ip", "link", "set", "blue1", "up"])
    eventually("blue1 is back", lambda: set(ups(two, "vms").values()) == {1.0})
    eventually("and is sent clients", lambda: status(two, VMS) == "blue1")


@pytest.fixture
def narrow(two: Lab) -> Iterator[None]:
    """The router's way to its clients takes 1400 bytes, of which they know nothing."""
    run(two, "router", ["ip", "link", "set", "br-ext", "mtu", "1400"])
    yield
    run(two, "router", ["ip", "link", "set", "br-ext", "mtu", "1500"])
    for vm in ("blue1", "blue2"):
        run(two, vm, ["ip", "route", "flush", "cache"])


@pytest.mark.usefixtures("vms", "narrow")
def test_what_a_router_says_of_the_way_to_the_client_reaches_the_vm(two: Lab) -> None:
    before = event(two, "l4", "icmp_translated")
    digest = hashlib.sha256((two.state / "files" / str(1 << 20)).read_bytes()).hexdigest()
    answer = request(two, "client", "GET", f"http://{VMS}/size/{1 << 20}")
    assert hashlib.sha256(answer.body).hexdigest() == digest
    assert event(two, "l4", "icmp_translated") > before


def told(lab: Lab, vip: str) -> dict[str, object]:
    """What `GET /unilb/status` has of a VIP, by L4 node."""
    nodes = admin(lab, "GET", "/unilb/status").json()["nodes"]
    return {node["id"]: node["vips"].get(vip) for node in nodes if "vips" in node}


@pytest.mark.usefixtures("vms")
def test_a_panic_keeps_all_targets_and_their_sessions_and_every_node_says_so(two: Lab) -> None:
    well = {"up": 2, "checked": 2, "down": [], "panic": False}
    eventually("both L4 nodes report both VMs", lambda: told(two, "vms") == {"l4": well, "l4b": well})
    check = {"interval": 1, "rise": 1, "fall": 2, "panic_threshold": 60}
    assert admin(two, "PATCH", "/unilb/vips/vms", {"check": check}).status == 200
    with ExitStack() as stack:
        while who(connection := stack.enter_context(kept(two, VMS))) != "blue1":
            pass
        run(two, "host1", ["ip", "link", "set", "blue1", "down"])
        ill = {"up": 1, "checked": 2, "down": [BLUE], "panic": True}
        eventually("both say that half of it is in a panic", lambda: told(two, "vms") == {"l4": ill, "l4b": ill})
        rings = "unilb_ring_checksum owner=10.100.0.21:80/tcp"
        shown = [metrics(two, node) for node in ("l4", "l4b")]
        assert [found["unilb_vip_in_panic vip=vms"] for found in shown] == [1, 1]
        assert shown[0][rings] == shown[1][rings]
        assert health(two, "l4")["vips_in_panic"] == ["vms"]
        run(two, "host1", ["ip", "link", "set", "blue1", "up"])
        assert who(connection) == "blue1"  # nobody has ended it
    eventually("and that it is over", lambda: told(two, "vms") == {"l4": well, "l4b": well})
    assert metrics(two, "l4")["unilb_vip_in_panic vip=vms"] == 0


def test_targets_of_fnat_and_dsr_are_checked_too(two: Lab) -> None:
    for vip in ("public", "dsr"):
        assert eventually(f"{vip} is checked", lambda v=vip: ups(two, v)) == {"10.1.0.11:80": 1.0, "10.2.0.12:80": 1.0}
    run(two, "gw1", ["ip", "route", "del", "local", VIP, "dev", "lo", "table", "local"])
    eventually("gw1 takes the VIP no more", lambda: ups(two, "dsr")["10.1.0.11:80"] == 0)
    assert ups(two, "public")["10.1.0.11:80"] == 1
    assert {request(two, "client", "GET", f"http://{VIP}/who", headers={"Host": HOST}).status for _ in range(4)} == {
        200
    }
    run(two, "gw1", ["ip", "route", "add", "local", VIP, "dev", "lo", "proto", "75", "scope", "host", "table", "local"])
    eventually("gw1 takes it again", lambda: ups(two, "dsr")["10.1.0.11:80"] == 1)


def test_both_ends_of_an_established_session_that_expires_are_reset(two: Lab) -> None:
    node, vip = service(two, "l4b"), "10.101.0.30"
    services.stop(two, node)
    services.start(two, replace(node, argv=(*node.argv, "--established-timeout", "1")))
    services.wait_until_ready(two, node)
    target = {"address": "10.1.0.21", "port": 7000}
    assert admin(two, "PUT", "/unilb/vips/silent", {"address": vip, "port": 7, "targets": [target]}).status == 201
    with open_socket(two, "web1") as listener:
        listener.bind(("10.1.0.21", 7000))
        listener.listen()
        eventually("l4b publishes it", lambda: f"unilb_ring_checksum owner={vip}:7/tcp" in metrics(two, "l4b"))
        # The checker's connections are accepted as well: the client's is the one that speaks.
        with connect(two, "client", (vip, 7), timeout=60) as client:
            client.sendall(b"?")
            while True:
                server, _ = listener.accept()
                server.settimeout(60)
                if server.recv(1):
                    break
                server.close()
            server.sendall(b"!")
            assert client.recv(1) == b"!"
            for end in (client, server):
                with pytest.raises(ConnectionResetError):
                    end.recv(1)
            server.close()
    assert metrics(two, "l4b")["unilb_sessions_reset_total"] >= 2
    assert admin(two, "DELETE", "/unilb/vips/silent").status == 200


def test_a_vip_that_is_gone_leaves_the_gateways(two: Lab) -> None:
    assert admin(two, "DELETE", "/unilb/vips/dsr").status == 200
    local = ["ip", "route", "show", "table", "local", "proto", "75"]
    eventually("the VIP is no address of gw1", lambda: run(two, "gw1", local).stdout == "")
