"""VXLAN over IPv6 with the kernel's vxlan device as it comes, which drops UDP without a checksum: both families within.

The machines of the cells; the VPC host has a second VNI, whose tunnels run over IPv6, with a VM of both families.
"""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.model.node import Node
from tests.netns import cells
from tests.netns.cell_ends import ECHO, VPC_WEB, WEB, Server, counters, transfer
from tests.netns.cells import VIP, VIP6, inside, ip, v4, v6
from userspace.config.compile_datapath import DatapathPlan, EndpointPlan, TargetPlan
from userspace.node import datapath, forwarding
from userspace.node.apply import inner_mac
from userspace.node.datapath import Sizes
from userspace.node.forwarding import Forwarding, ForwardingSettings
from userspace.node.links import SEGMENTS_DEVICE

pytestmark = [pytest.mark.netns, pytest.mark.apart]
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2
VNI6, MAC6 = 10011, "02:00:c0:a8:06:0a"
VMS, UNIQUES = ("192.168.6.10", "fd00:a::10"), ("100.64.6.1", "fd75:6e69:6c62::1")
LADDRS = {"l4": ("10.96.0.1", "fd00:96::1"), "gateway": ("10.96.0.2", "fd00:96::2")}
SIZES = Sizes(flows=4096, endpoints=64, services=8, targets=8, owned=16, laddrs=8, accounts=16)
# hook, offloads, MTU of every wire
CELLS = [("auto", True, 1500), ("auto", False, 1500), ("xdp", False, 1500)]


def second_vni(mtu: int) -> None:
    """The VM's addresses are the vxlan device's own; no flag says what checksums it takes."""
    ip("host", *(["link del vx6"] if _has_vx6() else []))
    lines = [
        f"link add vx6 mtu {mtu - 70} address {MAC6} type vxlan id {VNI6} local {v6('host')} dstport 4789 nolearning",
        f"address add {VMS[0]}/24 dev vx6",
        f"address add {VMS[1]}/64 dev vx6 nodad",
        "link set vx6 up",
    ]
    for number, place in enumerate(LADDRS, start=1):
        for hop, laddr in ((f"169.254.6.{number}", LADDRS[place][0]), (f"fe80::6:{number}", LADDRS[place][1])):
            lines.append(f"neighbour add {hop} lladdr {inner_mac(v4(place))} dev vx6 nud permanent")
            lines.append(f"route add {laddr} via {hop} dev vx6 onlink")
    ip("host", *lines)
    for place in LADDRS:
        entry = f"fdb append {inner_mac(v4(place))} dev vx6 dst {v6(place)} self permanent"
        subprocess.run(["bridge", "-n", "cell-host", *entry.split()], check=True)


def _has_vx6() -> bool:
    return subprocess.run(["ip", "-n", "cell-host", "link", "show", "vx6"], capture_output=True).returncode == 0


def plan(place: str, mtu: int) -> DatapathPlan:
    hosts = {vm: EndpointPlan(vm, v6("host"), VNI6, MAC6, mtu - 70) for vm in VMS}
    vteps: frozenset[tuple[str | None, int]] = frozenset({(None, VNI6), (v6("host"), VNI6)})
    if place == "gateway":
        endpoints = dict(zip(UNIQUES, hosts.values(), strict=True))
        return DatapathPlan(endpoints=endpoints, vteps=vteps, laddrs=LADDRS[place])
    return DatapathPlan(
        hosts={(vm, VNI6): (unique, hosts[vm]) for vm, unique in zip(VMS, UNIQUES, strict=True)},
        vteps=vteps,
        services={
            (VIP, VPC_WEB, 6): {TargetPlan(VMS[0], WEB, VNI6): 1},
            (VIP6, VPC_WEB, 6): {TargetPlan(VMS[1], WEB, VNI6): 1},
            (VIP, ECHO, 17): {TargetPlan(VMS[0], ECHO, VNI6): 1},
            (VIP6, ECHO, 17): {TargetPlan(VMS[1], ECHO, VNI6): 1},
        },
        vips=frozenset({VIP, VIP6}),
        laddrs=LADDRS[place],
    )


def bring_up(place: str, hook: str, mtu: int, pins: Path, cache: Path) -> Forwarding:
    role = "l4" if place == "l4" else "gateway"
    node = Node(place, role, "z", v4(place), LADDRS[place], address6=v6(place))
    with pytest.MonkeyPatch.context() as patched, inside(place):
        patched.setattr(forwarding, "ensure_bpffs", lambda: pins / f"six-{place}")
        return forwarding.bring_up(node, plan(place, mtu), ForwardingSettings(hook=hook, sizes=SIZES, cache=cache))


def cut_up_later() -> int:
    """Packets that the gateway gave to the kernel's vxlan device: TCP that is longer than a segment."""
    with inside("gateway"):
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
    return sum(int(line.split()[10]) for line in lines if line.split()[0] == f"{SEGMENTS_DEVICE}:")


@pytest.fixture(scope="module")
def vms(cell_pins: Path) -> Iterator[Server]:
    second_vni(1500)
    made = Server(5 << 20)
    for address in VMS:
        made.listen("host", address)
    yield made
    made.close()
    ip("host", "link del vx6")
    for place in LADDRS:  # from cell to cell the programs are adopted
        datapath.detach(cell_pins / f"six-{place}")


@pytest.fixture(scope="module", params=CELLS, ids=lambda c: f"{c[0]}, offloads {'on' if c[1] else 'off'}")
def cell(request: pytest.FixtureRequest, cell_pins: Path, cell_cache: Path, vms: Server) -> Iterator[None]:
    hook, offloads, mtu = request.param
    cells.set_wires(mtu, offloads)
    nodes = [bring_up(place, hook, mtu, cell_pins, cell_cache) for place in LADDRS]
    yield
    for node in nodes:
        node.close()


def test_every_byte_arrives_through_tunnels_of_ipv6(cell: None, vms: Server) -> None:
    before, long = counters(), cut_up_later()
    for unique in UNIQUES:
        transfer("gateway", (unique, WEB), vms)
    for vip in (VIP, VIP6):
        transfer("client", (vip, VPC_WEB), vms)
    assert {key: n - before[key] for key, n in counters().items() if n != before[key]} == {}
    assert cut_up_later() - long > 100


@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_who_sends_too_much_into_a_vpc_is_told_whatever_became_of_its_checksums(cell: None, vip: str) -> None:
    """With offloads on the sender leaves its checksum open, and the error must not inherit that."""
    family, level, discover = (
        (socket.AF_INET6, socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER)
        if ":" in vip
        else (socket.AF_INET, socket.IPPROTO_IP, IP_MTU_DISCOVER)
    )
    headers = 48 if ":" in vip else 28
    for option in ("-4", "-6"):  # what an earlier cell has told
        subprocess.run(["ip", option, "-n", "cell-client", "route", "flush", "cache"], check=True)
    with inside("client"):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(level, discover, PMTUDISC_DO)
        sock.settimeout(5)
        sock.connect((vip, ECHO))
        sock.send(b"x" * (1431 - headers))
        with pytest.raises(OSError, match="Message too long"):
            sock.recv(1)
        with pytest.raises(OSError, match="Message too long"):
            sock.send(b"x" * (1431 - headers))
        assert sock.send(b"x" * (1430 - headers)) == 1430 - headers
