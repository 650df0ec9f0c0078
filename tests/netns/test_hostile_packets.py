"""Packets that nobody honest sends to a gateway's tunnel port or to a VIP: dropped under a name, answered to nobody."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.netns import send_frames
from tests.netns.observe import drops, eventually, grown, kept, metrics
from userspace.lab import demo, services
from userspace.lab.capture import captured, frames
from userspace.lab.exec import open_socket, run
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns
GW1, HOST1, WEB1 = "10.1.0.11", "10.1.0.31", "10.1.0.21"
LADDR, VM, GW1_MAC, VM_MAC = "198.18.1.1", "192.168.0.10", "02:75:0a:01:00:0b", "02:00:c0:a8:00:0a"
BLUE, GREEN = 10010, 10020
MARK = 47890  # source port of everything sent here, outside and inside: answers would carry it


def segment(flags: str = "S", port: int = MARK, laddr: str = LADDR, **fields: int) -> Packet:
    """What a VM of either tenant could say to the gateway."""
    return IP(src=VM, dst=laddr) / TCP(sport=port, dport=40000, flags=flags, **fields)


def framed(inner: Packet, destination: str = GW1_MAC) -> Packet:
    return Ether(src=VM_MAC, dst=destination) / inner


def tunnel(payload: Packet | bytes, source: str = HOST1) -> Packet:
    return IP(src=source, dst=GW1) / UDP(sport=MARK, dport=4789, chksum=0) / payload


def in_vni(vni: int, frame: Packet, **header: int) -> Packet:
    return VXLAN(**{"flags": 8, "vni": vni, **header}) / frame


# Name -> (sender, outer packets, reason). Rows of one packet each but for the fragments.
PACKETS: dict[str, tuple[str, list[Packet], str]] = {
    "garbage": ("host1", [tunnel(Raw(b"\xde\xad\xbe\xef" * 30))], "vxlan_header"),
    "a few bytes": ("host1", [tunnel(Raw(b"\x08\x00\x00"))], "malformed"),
    "a header without frame": ("host1", [tunnel(VXLAN(flags=8, vni=BLUE))], "malformed"),
    "a length that lies": ("host1", [IP(src=HOST1, dst=GW1) / UDP(sport=MARK, dport=4789, len=2000)], "malformed"),
    "no VNI flag": ("host1", [tunnel(in_vni(BLUE, framed(segment()), flags=0))], "vxlan_header"),
    "another flag": ("host1", [tunnel(in_vni(BLUE, framed(segment()), flags=0x0C))], "vxlan_header"),
    "reserved bits": ("host1", [tunnel(in_vni(BLUE, framed(segment()), reserved2=1))], "vxlan_header"),
    "an unknown VNI": ("host1", [tunnel(in_vni(4242, framed(segment())))], "vni_unknown"),
    "VNI 0": ("host1", [tunnel(in_vni(0, framed(segment())))], "vni_unknown"),
    "a machine that hosts nobody": ("web1", [tunnel(in_vni(BLUE, framed(segment())), WEB1)], "vtep_unknown"),
    "an address of nobody": ("host1", [tunnel(in_vni(BLUE, framed(segment())), "10.1.0.99")], "vtep_unknown"),
    "another inner MAC": ("host1", [tunnel(in_vni(BLUE, framed(segment(), "02:75:0a:02:00:0c")))], "inner_mac"),
    "inner broadcast": ("host1", [tunnel(in_vni(BLUE, framed(segment(), "ff:ff:ff:ff:ff:ff")))], "inner_mac"),
    "inner ARP": ("host1", [tunnel(in_vni(BLUE, framed(ARP(pdst=LADDR))))], "inner_protocol"),
    "inner ping": ("host1", [tunnel(in_vni(BLUE, framed(IP(src=VM, dst=LADDR) / ICMP())))], "no_session"),
    "inner fragment": (
        "host1",
        [tunnel(in_vni(BLUE, framed(IP(src=VM, dst=LADDR, flags="MF") / Raw(bytes(64)))))],
        "fragment",
    ),
    "inner options": (
        "host1",
        [tunnel(in_vni(BLUE, framed(IP(src=VM, dst=LADDR, options=[b"\x94\x04\0\0"]) / TCP(sport=MARK))))],
        "ip_options",
    ),
    "a connection from a VM": ("host1", [tunnel(in_vni(BLUE, framed(segment())))], "no_session"),
    "an answer nobody asked for": ("host1", [tunnel(in_vni(BLUE, framed(segment("SA"))))], "no_session"),
    "a way to the gateway itself": ("host1", [tunnel(in_vni(BLUE, framed(segment(laddr=GW1))))], "no_session"),
    "fragments": (
        "host1",
        fragment(tunnel(in_vni(BLUE, framed(segment() / Raw(bytes(2000))))), fragsize=1000),
        "fragment",
    ),
}


def send(lab: Lab, sender: str, packets: list[Packet]) -> None:
    """Put packets on a sender's wire, addressed to gw1's device."""
    mac = {place: run(lab, place, ["cat", "/sys/class/net/eth0/address"]).stdout.strip() for place in (sender, "gw1")}
    sent = [bytes(Ether(src=mac[sender], dst=mac["gw1"]) / packet).hex() for packet in packets]
    run(lab, sender, [sys.executable, send_frames.__file__], stdin="\n".join(sent))


@pytest.fixture(scope="module", autouse=True)
def nobody_hears_of_it(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Around all of it: no answer on the underlay, nothing in any VM."""
    folder = tmp_path_factory.mktemp("captured")
    # Inside VXLAN the inner TCP ports stand 8 + 14 + 20 bytes behind the UDP header.
    inside = f"(udp port 4789 and (udp[50:2] = {MARK} or udp[52:2] = {MARK}))"
    outside = f"src host {GW1} and (icmp or udp port {MARK} or {inside})"
    expressions = {
        "gw1": f"src host {GW1} and (icmp or tcp port {MARK} or udp port {MARK})",
        "host1": outside,
        "web1": outside,
        **dict.fromkeys(lab.topology.vms, f"tcp port {MARK} or icmp or arp"),
    }
    with ExitStack() as stack:
        for place, expression in expressions.items():
            stack.enter_context(captured(lab, place, folder / place, expression))
        yield
    assert {place: len(list(frames(folder / place))) for place in expressions} == dict.fromkeys(expressions, 0)


@pytest.mark.parametrize("name", PACKETS)
def test_a_hostile_tunnel_packet_is_dropped_and_counted_by_name(lab: Lab, name: str) -> None:
    sender, packets, reason = PACKETS[name]
    before = drops(lab, "gw1")
    send(lab, sender, packets)
    eventually(f"{reason} counted", lambda: grown(before, drops(lab, "gw1")).get(reason, 0) >= len(packets))
    # Late segments of connections that tests before this one closed find no session either.
    others = {found: count for found, count in grown(before, drops(lab, "gw1")).items() if found != "no_session"}
    assert others == ({} if reason == "no_session" else {reason: len(packets)})


def test_a_tenant_cannot_reset_a_connection_of_another_tenant(lab: Lab) -> None:
    """The same flow in the other VNI, every address and port right: it is another flow."""
    with kept(lab, GW1) as connection:
        for _ in range(2):  # one worker, hence both endpoints
            connection.request("GET", "/kept", headers={"Host": "blue.example.com"})
            assert connection.getresponse().read()
        _reset_from_the_other_vni(lab)
        retries = metrics(lab, "gw1")["unilb_upstream_retries_total"]
        for _ in range(2):
            connection.request("GET", "/kept", headers={"Host": "blue.example.com"})
            assert connection.getresponse().read()
    assert metrics(lab, "gw1")["unilb_upstream_retries_total"] == retries


def _reset_from_the_other_vni(lab: Lab) -> None:
    listed = run(lab, "gw1", [services.unilb(), "sessions", "--json", "--vni", str(BLUE), "--state", "established"])
    sessions = [json.loads(line) for line in listed.stdout.splitlines()]
    flows = [s["leaves_as"].rsplit(":", 1) for s in sessions if s["towards"] == f"{VM}:80"]
    assert flows
    packets = [
        tunnel(in_vni(GREEN, framed(IP(src=VM, dst=laddr) / TCP(sport=80, dport=int(port), flags="R"))))
        for laddr, port in flows
    ]
    before = drops(lab, "gw1")
    send(lab, "host1", packets)
    eventually("all counted", lambda: grown(before, drops(lab, "gw1")).get("no_session", 0) >= len(packets))
    assert grown(before, drops(lab, "gw1")) == {"no_session": len(packets)}


def test_a_port_that_the_vip_does_not_publish_is_silent_and_counted(lab: Lab) -> None:
    before = drops(lab, "l4")
    with open_socket(lab, "client") as sock:
        sock.setblocking(False)
        sock.connect_ex((demo.eip(lab), 81))
        eventually("no_service counted", lambda: grown(before, drops(lab, "l4")).get("no_service", 0) >= 1)
        with pytest.raises(BlockingIOError):  # still connecting: neither accepted nor refused
            sock.recv(1)
    assert set(grown(before, drops(lab, "l4"))) == {"no_service"}


def test_a_stray_segment_to_the_vip_is_dropped_for_want_of_a_session(lab: Lab) -> None:
    before = drops(lab, "l4")
    mac = {place: run(lab, place, ["cat", "/sys/class/net/eth0/address"]).stdout.strip() for place in ("client",)}
    router = run(lab, "router", ["cat", "/sys/class/net/br-ext/address"]).stdout.strip()
    stray = Ether(src=mac["client"], dst=router) / IP(src="203.0.113.9", dst="10.100.0.10") / TCP(dport=80, flags="A")
    run(lab, "client", [sys.executable, str(Path(send_frames.__file__))], stdin=bytes(stray).hex())
    eventually("no_session counted", lambda: grown(before, drops(lab, "l4")).get("no_session", 0) >= 1)
    assert grown(before, drops(lab, "l4")) == {"no_session": 1}
