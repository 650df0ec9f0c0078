"""Resets as scapy reads them: right addresses, numbers and checksums, in the right VNI."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from tests.packets import flow
from userspace.node import abi, resets
from userspace.node.ageing import Ended
from userspace.node.splice_abi import Flag, Splice

MACHINE = abi.Machine(underlay=abi.addr("10.0.0.10"), inner_mac=abi.mac("02:75:0a:00:00:0a"))


def ended(there: abi.Flow, back: abi.Flow) -> Ended:
    forward = abi.Session(peer=back, direction=1, tunnel_sport=50000, ack=1000)
    reply = abi.Session(peer=there, direction=2, ack=2**32 - 1)
    return Ended(bytes(there), bytes(forward), bytes(reply))


def nowhere(address: abi.Addr, vni: int, key: abi.Flow) -> None:
    return None


def is_summed(packet: Packet) -> bool:
    """Return whether scapy computes the same checksums."""
    raw = bytes(packet)
    anew = packet.copy()
    del anew[TCP].chksum
    if IP in anew:
        del anew[IP].chksum
    return bytes(anew) == raw


def test_both_ends_hear_it_from_whom_they_talked_to() -> None:
    one = ended(flow("203.0.113.9", 4210, "10.100.0.10", 80), flow("10.1.0.11", 81, "10.100.1.1", 5000))
    to_opener, to_target = (IP(raw) for raw in resets.packets(one, MACHINE, nowhere))
    assert (to_opener.src, to_opener.sport, to_opener.dst, to_opener.dport) == ("10.100.0.10", 80, "203.0.113.9", 4210)
    assert (to_target.src, to_target.sport, to_target.dst, to_target.dport) == ("10.100.1.1", 5000, "10.1.0.11", 81)
    assert (to_opener[TCP].seq, to_target[TCP].seq) == (1000, 2**32 - 1)
    assert to_opener[TCP].flags == to_target[TCP].flags == "R"
    assert is_summed(to_opener) and is_summed(to_target)


def test_ipv6_ends_hear_it_too() -> None:
    one = ended(flow("2001:db8::9", 4210, "2001:db8::10", 80), flow("2001:db8::11", 80, "2001:db8::1", 5000))
    packets = [IPv6(raw) for raw in resets.packets(one, MACHINE, nowhere)]
    assert [p.dst for p in packets] == ["2001:db8::9", "2001:db8::11"]
    assert all(is_summed(p) for p in packets)


def test_a_machine_of_a_vpc_hears_it_in_its_vni() -> None:
    one = ended(flow("10.0.0.10", 40000, "100.64.0.1", 80), flow("192.168.0.10", 80, "198.18.1.1", 6000, vni=10010))
    host = abi.Endpoint(vtep=abi.addr("10.1.0.31"), vni=10010, mac=abi.mac("02:00:c0:a8:00:0a"))
    outer = IP(resets.packets(one, MACHINE, lambda address, vni, key: host)[1])
    assert (outer.dst, outer[UDP].sport, outer[UDP].dport, outer[VXLAN].vni) == ("10.1.0.31", 50000, 4789, 10010)
    assert outer[VXLAN].payload.dst == "02:00:c0:a8:00:0a"
    inner = outer[VXLAN].payload[IP]
    assert (inner.src, inner.sport, inner.dst, inner.dport) == ("198.18.1.1", 6000, "192.168.0.10", 80)
    assert is_summed(inner)


def test_a_machine_that_is_gone_hears_nothing() -> None:
    one = ended(flow("10.0.0.10", 40000, "100.64.0.1", 80), flow("192.168.0.10", 80, "198.18.1.1", 6000, vni=10010))
    assert [IP(raw).dst for raw in resets.packets(one, MACHINE, nowhere)] == ["10.0.0.10"]


def test_a_packet_that_the_kernel_refuses_is_not_counted() -> None:
    good = resets.segment(abi.addr("127.0.0.1"), 1, abi.addr("127.0.0.1"), 1, 0)
    bad = resets.segment(abi.addr("127.0.0.1"), 1, abi.addr("255.255.255.255"), 1, 0)
    assert resets.send([good, bad]) == 1


def test_of_a_dsr_session_the_client_alone_is_told() -> None:
    key = flow("203.0.113.9", 4210, "10.100.0.20", 80)
    session = abi.Session(peer=abi.Flow(saddr=abi.addr("10.1.0.11"), sport=80, proto=6), direction=4, ack=1000)
    (raw,) = resets.packets(Ended(bytes(key), bytes(session), None), MACHINE, nowhere)
    packet = IP(raw)
    assert (packet.src, packet.dst, packet.sport, packet.dport) == ("10.100.0.20", "203.0.113.9", 80, 4210)
    assert packet[TCP].seq == 1000 and is_summed(packet)


def test_a_machine_of_a_vpc_hears_it_over_ipv6_too() -> None:
    machine = abi.Machine.from_buffer_copy(bytes(MACHINE))
    machine.underlay6 = abi.addr("2001:db8::10")
    host = abi.Endpoint(vtep=abi.addr("2001:db8:1::31"), vni=10010, mac=abi.mac("02:00:c0:a8:00:0a"))
    for client, unique, vm, laddr in (
        ("10.0.0.10", "100.64.0.1", "192.168.0.10", "198.18.1.1"),
        ("fd75::ffff", "fd75::1", "fd00:a::10", "fd00:18::1"),
    ):
        one = ended(flow(client, 4210, unique, 80), flow(vm, 81, laddr, 5000, vni=10010))
        _, raw = resets.packets(one, machine, lambda *_: host)
        outer = IPv6(raw)
        assert (outer.src, outer.dst, outer[VXLAN].vni) == ("2001:db8::10", "2001:db8:1::31", 10010)
        inner = outer[VXLAN].payload.payload
        assert (inner.src, inner.dst, inner[TCP].dport) == (laddr, vm, 81) and is_summed(inner)
        anew = outer.copy()
        del anew[UDP].chksum
        assert bytes(anew) == raw


def spliced(down: abi.Flow, **fields: object) -> Splice:
    splice = Splice(**fields)
    splice.from_[0], splice.from_[1] = flow("203.0.113.9", 4210, "10.1.0.11", 80), down
    splice.acked[:] = 1000, 2**32 - 1
    return splice


def test_both_ends_of_a_splice_hear_it_from_whom_they_talked_to() -> None:
    splice = spliced(flow("10.1.0.21", 8080, "10.1.0.11", 50000))
    to_client, to_endpoint = (IP(raw) for raw in resets.of_splice(splice, True, MACHINE, None))
    assert (to_client.src, to_client.sport, to_client.dst, to_client.dport) == ("10.1.0.11", 80, "203.0.113.9", 4210)
    assert (to_endpoint.src, to_endpoint.sport) == ("10.1.0.11", 50000)
    assert (to_endpoint.dst, to_endpoint.dport) == ("10.1.0.21", 8080)
    assert (to_client[TCP].seq, to_endpoint[TCP].seq) == (1000, 2**32 - 1)
    assert is_summed(to_client) and is_summed(to_endpoint)
    (only,) = resets.of_splice(splice, False, MACHINE, None)
    assert IP(only).dst == "10.1.0.21"


def test_a_spliced_machine_of_a_vpc_hears_it_in_its_vni() -> None:
    splice = spliced(flow("192.168.0.10", 80, "198.18.1.1", 6000, vni=10010), flags=Flag.VPC, tunnel_sport=50000)
    host = abi.Endpoint(
        addr=abi.addr("192.168.0.10"), vtep=abi.addr("10.1.0.31"), vni=10010, mac=abi.mac("02:00:c0:a8:00:0a")
    )
    (raw,) = resets.of_splice(splice, False, MACHINE, host)
    outer = IP(raw)
    assert (outer.dst, outer[UDP].sport, outer[VXLAN].vni) == ("10.1.0.31", 50000, 10010)
    inner = outer[VXLAN].payload[IP]
    assert (inner.src, inner.sport, inner.dst, inner.dport) == ("198.18.1.1", 6000, "192.168.0.10", 80)
    # A unique IP that stands for another machine by now is told nothing.
    host.vni = 10020
    assert resets.of_splice(splice, False, MACHINE, host) == resets.of_splice(splice, False, MACHINE, None) == []
