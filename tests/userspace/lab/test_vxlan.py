"""The VPCs of the lab: a kernel vxlan path inside each, none between them, none to the classic network."""

import pytest

from userspace.lab.client import request
from userspace.lab.exec import connect, run
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns


@pytest.mark.parametrize(
    ("vm", "address", "answering", "vni"),
    [
        ("blue1", "192.168.0.11", "blue2", 10010),
        ("blue2", "192.168.0.10", "blue1", 10010),
        ("green1", "192.168.0.11", "green2", 10020),
        ("green2", "192.168.0.10", "green1", 10020),
        ("six1", "[fd00:a::11]", "six2", 10030),
        ("six2", "[fd00:a::10]", "six1", 10030),
    ],
)
def test_an_address_means_the_vm_of_ones_own_vpc(webs: Lab, vm: str, address: str, answering: str, vni: int) -> None:
    answer = request(webs, vm, "GET", f"http://{address}/").json()
    assert (answer["machine"], answer["vni"]) == (answering, vni)


def test_a_full_packet_fits_and_a_longer_one_does_not(webs: Lab) -> None:
    fits = ["ping", "-c", "1", "-W", "2", "-M", "do", "-s", str(1450 - 28), "192.168.0.11"]
    assert run(webs, "blue1", fits, check=False).returncode == 0
    longer = [*fits[:-2], str(1450 - 27), "192.168.0.11"]
    assert "message too long" in run(webs, "blue1", longer, check=False).stderr


def test_what_crosses_the_underlay_is_vxlan_with_the_vni(webs: Lab) -> None:
    before = sent(webs, "vx10010"), sent(webs, "vx10020")
    request(webs, "green1", "GET", "http://192.168.0.11/")
    after = sent(webs, "vx10010"), sent(webs, "vx10020")
    assert after[0] == before[0]
    assert after[1] > before[1]


def sent(lab: Lab, device: str) -> int:
    return int(run(lab, "host1", ["cat", f"/sys/class/net/{device}/statistics/tx_packets"]).stdout)


@pytest.mark.parametrize("address", ["10.1.0.21", "203.0.113.9", "10.1.0.31"])
def test_a_vm_has_no_way_to_the_classic_network(webs: Lab, address: str) -> None:
    with pytest.raises(OSError, match="Network is unreachable"):
        connect(webs, "blue1", (address, 80), timeout=1)


def test_the_classic_network_has_no_way_to_a_vm(webs: Lab) -> None:
    with pytest.raises(OSError):
        connect(webs, "web1", ("192.168.0.10", 80), timeout=0.5)
