"""A DSR VIP from outside: gateways answer clients directly; an L4 node that is lost takes no connection along."""

import hashlib
import http.client
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.netns.conftest import built
from tests.netns.observe import CLIENT, checksum_errors, drops, eventually, grown, kept, metrics, service, sha256_of
from userspace.lab import services, topology
from userspace.lab.capture import captured, frames
from userspace.lab.client import request
from userspace.lab.exec import run
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
    """A region with two L4 nodes and a DSR VIP; the router sends its clients to the first."""
    text = topology.DEFAULT_PATH.read_text().replace("\n  gw1:\n", f"{SECOND}  gw1:\n", 1)
    for lab in built("e2edsr", topology.parse(text)):
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


def status(lab: Lab) -> int:
    try:
        return request(lab, "client", "GET", f"http://{VIP}/who", headers={"Host": HOST}, timeout=1).status
    except OSError:
        return 0


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
    with captured(two, "l4", answers, f"tcp and src host {VIP}"):
        for _ in range(6):
            reply = request(two, "client", "GET", f"http://{VIP}/who", headers={"Host": HOST})
            assert (reply.status, reply.json()["x_forwarded_for"]) == (200, CLIENT)
    assert {node: grown(before[node], drops(two, node)) for node in before} == {"l4": {}, "gw1": {}, "gw2": {}}
    taken = {gw: event(two, gw, "dsr_taken") for gw in ("gw1", "gw2")}
    assert all(taken.values()), taken
    assert sum(taken.values()) == event(two, "l4", "dsr_sent")
    assert metrics(two, "gw1")["unilb_vtep_packets_total vtep=10.0.0.10 vni=dsr"] == taken["gw1"]
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
        assert event(two, "l4b", "session_new") == 0
    assert status(two) == 200
    assert event(two, "l4b", "session_new") >= 1
    run(two, "router", ["ip", "route", "del", f"{VIP}/32"])
    services.up(two)


def test_a_vip_that_is_gone_leaves_the_gateways(two: Lab) -> None:
    assert admin(two, "DELETE", "/unilb/vips/dsr").status == 200
    local = ["ip", "route", "show", "table", "local", "proto", "75"]
    eventually("the VIP is no address of gw1", lambda: run(two, "gw1", local).stdout == "")
