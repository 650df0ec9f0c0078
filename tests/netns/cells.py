"""A small region for the datapath alone: one switch, a client, an L4 node, a gateway, a server, and a VPC host.

No store, no worker: the nodes are brought up by plans, and ends are sockets of the test's own, each in its namespace.
Every wire is a veth, whose MTU and offloads a test sets. The VPC host is the kernel's own vxlan device.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from userspace.node.apply import inner_mac

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

SWITCH = "cell-switch"
PLACES = {"client": 9, "l4": 10, "gateway": 11, "server": 20, "host": 31}
VIP, VIP6, LADDR, LADDR6 = "10.99.0.10", "2001:db8:99::10", "10.98.0.1", "2001:db8:98::1"
GATEWAY_LADDR, UNIQUE = "10.97.0.1", "100.64.0.1"
VNI, VM, VM_MAC = 10010, "192.168.0.10", "02:00:c0:a8:00:0a"
# The other VPC: IPv6 inside, and VTEPs of IPv6.
VNI6, VM6, VM6_MAC, GATEWAY_LADDR6, UNIQUE6 = (
    10020,
    "fd00::10",
    "02:00:c0:a8:00:0b",
    "2001:db8:97::1",
    "fd75:6e69:6c62::10",
)


def v4(place: str) -> str:
    return f"10.9.0.{PLACES[place]}"


def v6(place: str) -> str:
    return f"2001:db8:9::{PLACES[place]}"


@contextmanager
def inside(place: str) -> Iterator[None]:
    """Have this thread in a machine's network namespace while the block runs."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/cell-{place}", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(home)
        os.close(there)


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def ip(place: str, *lines: str) -> None:
    subprocess.run(["ip", "-n", f"cell-{place}", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@contextmanager
def built() -> Iterator[None]:
    """Have the whole region while the block runs; what an aborted run left behind goes first."""
    remove()
    try:
        for name in (SWITCH, *(f"cell-{place}" for place in PLACES)):
            subprocess.run(["ip", "netns", "add", name], check=True)
        ip("switch", "link add br0 type bridge mcast_snooping 0", "link set br0 addrgenmode none up")
        for place in PLACES:
            _wire(place)
        _routes()
        _vpc()
        yield
    finally:
        remove()


def remove() -> None:
    for name in (SWITCH, *(f"cell-{place}" for place in PLACES)):
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _wire(place: str) -> None:
    ip(
        "switch",
        f"link add {place} type veth peer name eth0 netns cell-{place}",
        f"link set {place} master br0 addrgenmode none up",
    )
    ip(
        place,
        "link set lo up",
        f"address add {v4(place)}/24 dev eth0",
        f"address add {v6(place)}/64 dev eth0 nodad",
        "link set eth0 up",
    )
    with inside(place):
        knobs = ("rp_filter", "send_redirects", "accept_redirects")  # a redirect would lead around the L4 node
        for name in (f"ipv4/conf/{of}/{knob}" for of in ("all", "eth0") for knob in knobs):
            Path(f"/proc/sys/net/{name}").write_text("0")


def _routes() -> None:
    ip("client", f"route add {VIP} via {v4('l4')}", f"route add {VIP6} via {v6('l4')}")
    ip("server", f"route add {LADDR} via {v4('l4')}", f"route add {LADDR6} via {v6('l4')}")


def _vpc() -> None:
    """A VM's address is its vxlan device's own. Neighbours are told, as a cloud's controller would."""
    lines = [
        f"link add vx address {VM_MAC} type vxlan id {VNI} local {v4('host')} dstport 4789 nolearning",
        f"address add {VM}/24 dev vx",
        "link set vx up",
    ]
    for number, (laddr, place) in enumerate(((LADDR, "l4"), (GATEWAY_LADDR, "gateway")), start=1):
        lines += [
            f"neighbour add 169.254.0.{number} lladdr {inner_mac(v4(place))} dev vx nud permanent",
            f"route add {laddr} via 169.254.0.{number} dev vx onlink",
        ]
    lines += [
        f"link add vx6 address {VM6_MAC} type vxlan id {VNI6} local {v6('host')} dstport 4789 nolearning",
        f"address add {VM6}/64 dev vx6 nodad",
        "link set vx6 up",
    ]
    for number, (laddr, place) in enumerate(((LADDR6, "l4"), (GATEWAY_LADDR6, "gateway")), start=1):
        lines += [
            f"neighbour add fe80::1:{number} lladdr {inner_mac(v4(place))} dev vx6 nud permanent",
            f"route add {laddr} via fe80::1:{number} dev vx6 onlink",
        ]
    ip("host", *lines)
    for place in ("l4", "gateway"):
        for device, vtep in (("vx", v4(place)), ("vx6", v6(place))):
            entry = f"fdb append {inner_mac(v4(place))} dev {device} dst {vtep} self permanent"
            subprocess.run(["bridge", "-n", "cell-host", *entry.split()], check=True)


def set_wires(mtu: int, offloads: bool) -> None:
    """Give every wire an MTU, and either all of a sender's offloads or none."""
    settings = "tx on tso on gso on gro on" if offloads else "tx off tso off gso off gro on"
    ip("switch", *(f"link set {place} mtu {mtu}" for place in PLACES), f"link set br0 mtu {mtu}")
    for place in PLACES:
        ip(place, f"link set eth0 mtu {mtu}")
        for name, device in (("switch", place), (place, "eth0")):
            with inside(name):  # GRO stays on: with it a veth takes frames from XDP, and it is no matter of checksums
                subprocess.run(["ethtool", "-K", device, *settings.split()], check=True, capture_output=True)
    ip("host", f"link set vx mtu {mtu - 50}", f"link set vx6 mtu {mtu - 70}")


def keep_order() -> None:
    """Have the VPC host's vxlan devices hand on what they took in its order, at the cost of their GRO.

    The kernel's device queues what it has unpacked once per CPU (gro_cells), and its NAPI moves between CPUs: bare
    kernel routing shows PAWSEstab that way. Received by one CPU, a segment out of order is the datapath's doing.
    """
    for device in ("vx", "vx6"):
        script = f"ethtool -K {device} gro off && echo 1 > /sys/class/net/{device}/queues/rx-0/rps_cpus"
        subprocess.run(["ip", "netns", "exec", "cell-host", "sh", "-c", script], check=True)
