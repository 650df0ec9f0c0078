"""Devices, routes and kernel settings that the datapath stands on, by netlink. The only import of pyroute2.

Desired state, idempotent: what is there already stays as it is. Called before the event loop runs.
"""

import array
import fcntl
import logging
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from userspace.node.bpf import AttachType

log = logging.getLogger("unilb.links")

VPC_DEVICE, VPC_PEER = "unilb0", "unilb1"
SEGMENTS_DEVICE = "unilb6"
VXLAN_PORT = 4789
_SIOCETHTOOL, _ETHTOOL_SGRO = 0x8946, 0x2C
_SYSCTL = Path("/proc/sys/net")
_IFA_F_NODAD = 0x02
NTF_USE, NUD_STALE = 0x01, 0x04
# Names of our filters.
PROGRAMS = frozenset({"dsr_egress", "l4_ingress", "neigh_ingress", "probe_egress", "vpc_egress", "vxlan_ingress"})
_OURS = 75  # the protocol number by which our local routes are known (`ip route show table local proto 75`)
_RTN_LOCAL, _TABLE_LOCAL, _SCOPE_HOST = 2, 255, 254
_TC_PARENT = {AttachType.TCX_INGRESS: "ffff:fff2", AttachType.TCX_EGRESS: "ffff:fff3"}


class LinkError(Exception):
    """The machine's network is not as the node needs it; says what is missing."""


@dataclass(frozen=True, slots=True)
class Device:
    """A network device; mtu in bytes."""

    name: str
    index: int
    mac: str
    mtu: int


def device_of(address: str) -> Device:
    """Return the device that has this address. Raises LinkError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with IPRoute() as ip:
        for found in ip.get_addr(address=address, family=family):
            return _device(ip, found["index"])
    raise LinkError(f"no device has the address {address} of this node's object in the store")


def _device(ip: IPRoute, index: int) -> Device:
    link = ip.get_links(index)[0]
    return Device(link.get_attr("IFLA_IFNAME"), index, link.get_attr("IFLA_ADDRESS"), int(link.get_attr("IFLA_MTU")))


def ensure_vpc_device(pool: str, pool6: str, underlay: Device, address: str, room: int) -> Device:
    """Return the device that the unique IPs (L4 nodes: probes) are routed to, made with its routes when missing.

    A veth pair, whose other end stays idle: the program on its egress takes every packet. The routes' MTU leaves `room`
    for the tunnel, so that TCP offers the right segment size by itself. The pair's own is the underlay's: XDP's
    redirect into it drops what is longer. Sockets speak from `address`; to IPv6 from the last of `pool6`, which nobody
    is given: FNAT replaces it, so a node needs no IPv6 address of its own for VPCs of IPv6.
    """
    with IPRoute() as ip:
        if not ip.link_lookup(ifname=VPC_DEVICE):
            ip.link("add", ifname=VPC_DEVICE, kind="veth", peer=VPC_PEER)
        index = ip.link_lookup(ifname=VPC_DEVICE)[0]
        for name in (VPC_DEVICE, VPC_PEER):
            # Before it is up: no link-local address, and with it nothing that the device would say of itself.
            set_sysctl(f"ipv6/conf/{name}/addr_gen_mode", "1")
            set_sysctl(f"ipv6/conf/{name}/accept_ra", "0")
            set_sysctl(f"ipv6/conf/{name}/disable_ipv6", "0" if name == VPC_DEVICE else "1")
            ip.link("set", index=ip.link_lookup(ifname=name)[0], arp=False, mtu=underlay.mtu, state="up")
        ip.route(
            "replace",
            dst=pool,
            oif=index,
            prefsrc=address,
            scope="link",
            metrics={"mtu": underlay.mtu - room},
        )
        if (_SYSCTL / "ipv6").exists():
            own = str(ip_network(pool6)[-1])
            ip.addr("replace", index=index, address=own, prefixlen=128, flags=_IFA_F_NODAD)
            ip.route(
                "replace",
                family=socket.AF_INET6,
                dst=pool6,
                oif=index,
                prefsrc=own,
                metrics={"mtu": underlay.mtu - room},
            )
        return _device(ip, index)


def ensure_segments_device() -> int:
    """Return the index of the kernel's vxlan device that takes long TCP segments to VTEPs of IPv6, making it when it is
    missing; 0 when the kernel refuses, which the log says: such segments are dropped then.

    It only sends. What would come in by it is nobody's: no address, no IPv6, and IPv4 fails the reverse path.
    """
    with IPRoute() as ip:
        try:
            if not ip.link_lookup(ifname=SEGMENTS_DEVICE):
                ip.link(
                    "add",
                    ifname=SEGMENTS_DEVICE,
                    kind="vxlan",
                    vxlan_collect_metadata=True,
                    vxlan_learning=False,
                    vxlan_port=VXLAN_PORT,
                    vxlan_port_range={"low": 49152, "high": 65535},
                )
            index = int(ip.link_lookup(ifname=SEGMENTS_DEVICE)[0])
            set_sysctl(f"ipv6/conf/{SEGMENTS_DEVICE}/disable_ipv6", "1")
            set_sysctl(f"ipv4/conf/{SEGMENTS_DEVICE}/rp_filter", "1")
            ip.link("set", index=index, arp=False, state="up")
        except NetlinkError as error:
            log.warning("no vxlan device for VTEPs of IPv6 (port %d): %s", VXLAN_PORT, error)
            return 0
        return index


def vpc_peer() -> int:
    """Return the index of the other end of the VPC device: XDP delivers by it."""
    with IPRoute() as ip:
        return int(ip.link_lookup(ifname=VPC_PEER)[0])


def veth_peer(device: str) -> tuple[int, int | None]:
    """Return the index of a veth's other end, and the id of its network namespace as this one knows it; None: here."""
    with IPRoute() as ip:
        link = ip.get_links(ip.link_lookup(ifname=device)[0])[0]
        return int(link.get_attr("IFLA_LINK")), link.get_attr("IFLA_LINK_NETNSID")


def namespace_id(path: Path) -> int | None:
    """Return the id of a network namespace as this one knows it; None when it cannot be opened."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with IPRoute() as ip:
            return int(ip.get_netnsid(fd=fd)["nsid"])
    finally:
        os.close(fd)


def refresh_neighbours(index: int) -> int:
    """Have the kernel ask anew for neighbours of a device that it has not heard of for a while; return how many.

    Packets that programs send go by the table and do not renew it, so a MAC that has changed would never be noticed.
    """
    stale = 0
    with IPRoute() as ip:
        for family in (socket.AF_INET, socket.AF_INET6):
            for found in ip.get_neighbours(family=family, ifindex=index):
                if found["state"] & NUD_STALE and found["ifindex"] == index:
                    ip.neigh("change", family=family, dst=found.get_attr("NDA_DST"), ifindex=index, flags=NTF_USE)
                    stale += 1
    return stale


def set_gro(device: str) -> None:
    """Switch GRO on, by ethtool's ioctl: with it a veth takes frames that XDP redirects into its peer."""
    value = array.array("I", [_ETHTOOL_SGRO, 1])
    request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def remove_devices() -> list[str]:
    """Remove the pair, with it its routes, and the vxlan device; return the names of those that were there."""
    with IPRoute() as ip:
        found = [name for name in (VPC_DEVICE, SEGMENTS_DEVICE) if ip.link_lookup(ifname=name)]
        for name in found:
            ip.link("del", index=ip.link_lookup(ifname=name)[0])
        return found


def set_sysctl(name: str, value: str) -> None:
    """Write net/<name>; a setting that this kernel lacks is left out."""
    path = _SYSCTL / name
    if path.exists() and path.read_text().strip() != value:
        path.write_text(value)


def prepare_gateway() -> None:
    """A closing listener hands its queued connections to the others (a worker may go while its queue is not empty).

    And bpf_fib_lookup() answers for lo (see route.h): nothing comes in there that is to be forwarded.
    """
    set_sysctl("ipv4/tcp_migrate_req", "1")
    for family in ("ipv4", "ipv6"):
        set_sysctl(f"{family}/conf/lo/forwarding", "1")


def prepare_l4(device: Device, has_ipv6: bool = False) -> None:
    """bpf_fib_lookup() answers only for devices that forward. IPv6 only where it is used: it ends router discovery."""
    for family in ("ipv4", "ipv6") if has_ipv6 else ("ipv4",):
        set_sysctl(f"{family}/conf/{device.name}/forwarding", "1")


def own_vips(wanted: frozenset[str], underlay: str) -> None:
    """Make this machine receive packets for exactly these addresses, and answer no ARP for them.

    Local routes, not addresses: sockets accept and answer from them, and nobody hears of them. IPv6 never advertises
    what is on no device; for IPv4 the underlay device is told not to (arp_ignore), nor to ask with them (arp_announce).
    Raises LinkError.
    """
    if any(":" not in vip for vip in wanted):
        set_sysctl(f"ipv4/conf/{underlay}/arp_ignore", "1")
        set_sysctl(f"ipv4/conf/{underlay}/arp_announce", "2")
    with IPRoute() as ip:
        present = _own_vips(ip)
        for action, vips in (("del", present - wanted), ("replace", wanted - present)):
            for vip in sorted(vips):
                try:
                    ip.route(action, **_local_route(ip, vip))
                except NetlinkError as error:
                    raise LinkError(f"{action} of a local route for {vip}: {error}") from None


def disown_vips() -> list[str]:
    """Remove what own_vips() made; return the addresses."""
    with IPRoute() as ip:
        present = sorted(_own_vips(ip))
        for vip in present:
            ip.route("del", **_local_route(ip, vip))
    return present


def _own_vips(ip: IPRoute) -> set[str]:
    families = (socket.AF_INET, socket.AF_INET6)
    routes = (r for family in families for r in ip.get_routes(family=family, table=_TABLE_LOCAL, proto=_OURS))
    return {route.get_attr("RTA_DST") for route in routes}


def _local_route(ip: IPRoute, vip: str) -> dict[str, Any]:
    is_v6 = ":" in vip
    return {
        "dst": f"{vip}/{128 if is_v6 else 32}",
        "family": socket.AF_INET6 if is_v6 else socket.AF_INET,
        "oif": ip.link_lookup(ifname="lo")[0],
        "scope": 0 if is_v6 else _SCOPE_HOST,
        "type": _RTN_LOCAL,
        "table": _TABLE_LOCAL,
        "proto": _OURS,
    }


def attach_clsact(program: int, name: str, device: int, attach: AttachType) -> None:
    """Attach by clsact, for kernels before 6.6, which lack TCX. Replaces the program attached before in one step."""
    with IPRoute() as ip:
        try:
            ip.tc("add", "clsact", device)
        except NetlinkError as error:
            if error.code != 17:  # EEXIST
                raise
        ip.tc(
            "replace-filter",
            "bpf",
            device,
            handle=1,
            prio=1,
            fd=program,
            name=name,
            parent=_TC_PARENT[attach],
            direct_action=True,
        )


def detach_every_clsact() -> list[str]:
    """Remove our filters from every device; return the names of devices that had one."""
    ours = []
    with IPRoute() as ip:
        for link in ip.get_links():
            for parent in _TC_PARENT.values():
                filters = ip.get_filters(index=link["index"], parent=_handle(parent))
                names = {
                    f.get_attr("TCA_OPTIONS").get_attr("TCA_BPF_NAME") for f in filters if f.get_attr("TCA_OPTIONS")
                }
                if names & PROGRAMS:
                    ip.tc("del-filter", "bpf", link["index"], parent=parent, handle=1, prio=1)
                    ours.append(link.get_attr("IFLA_IFNAME"))
    return sorted(set(ours))


def _handle(parent: str) -> int:
    major, _, minor = parent.partition(":")
    return int(major, 16) << 16 | int(minor, 16)
