"""The ways of spliced connections through one region: its topology, its endpoints, and the rows that are tested.

A region of both families in which one gateway and one L4 node are on TC, the others on XDP.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tests.netns import echo_upgraded
from tests.netns.splices import EMPTY, put
from tests.userspace.lab.underlay6 import over_ipv6
from userspace.lab import process, topology
from userspace.lab.exec import spawn
from userspace.lab.lab import Lab
from userspace.lab.publish import admin
from userspace.lab.topology import Topology

HOOKS = {"gw1": "auto", "gw2": "xdp", "l4": "auto", "l4b": "xdp"}
CLIENTS = {4: "203.0.113.9", 6: "fd20::9"}
VIPS = {("l4", 4): "10.100.0.", ("l4b", 4): "10.101.0.", ("l4", 6): "fd30:1::", ("l4b", 6): "fd30:2::"}
ENTRIES = ("straight", "fnat", "dsr")
# Who answers, by the family of client and endpoint: on the underlay, in a VPC behind VTEPs of IPv4, and of IPv6.
ENDPOINTS = {"web1": 4, "blue1": 4, "green1": 4, "web2": 6, "six1": 6, "deep1": 6}


@dataclass(frozen=True, slots=True)
class Row:
    """l4: the node in between, None for a client that names the gateway. address: what the client connects to."""

    place: str
    family: int
    entry: str
    gateway: str
    l4: str | None
    address: str

    @property
    def name(self) -> str:
        """Of its routes, and the first part of its hosts."""
        return f"{self.place}-{self.entry}-{self.gateway}" + (f"-{self.l4}" if self.l4 else "")

    @property
    def client(self) -> str:
        return CLIENTS[self.family]


def rows(region: Topology) -> tuple[Row, ...]:
    """Every endpoint by every entry; hooks take turns so that each meets each entry, endpoint and hook of the other."""
    found = []
    for number, (place, entry) in enumerate(product(ENDPOINTS, ENTRIES)):
        nth, way = divmod(number, len(ENTRIES))
        gateway, family = ("gw1", "gw2")[(nth + way) % 2], ENDPOINTS[place]
        l4 = None if entry == "straight" else ("l4", "l4b")[(nth // 2 + nth // 3 + way) % 2]
        machine = region.machines[gateway]
        own = str(machine.address if family == 4 else machine.address6)
        address = f"{VIPS[l4, family]}{40 + number}" if l4 else own
        found.append(Row(place, family, entry, gateway, l4, address))
    return tuple(found)


def both_families() -> Topology:
    """The region of the demo, all of it of both families, with a second L4 node and a VPC more."""
    written: dict[str, Any] = yaml.safe_load(over_ipv6(topology.DEFAULT_PATH.read_text()))
    machines, vpcs = written["machines"], written["vpcs"]
    machines["l4b"] = {"role": "l4", "zone": "core", "addresses": {"core": "10.0.0.11"}, "laddrs": ["10.101.1.1"]}
    machines["l4b"] |= {"prefixes": ["10.101.0.0/16"]}
    written["segments6"]["ext"] = "fd20::/64"
    for name, segment, address in (
        ("router", "ext", "fd20::1"),
        ("client", "ext", CLIENTS[6]),
        ("l4", "core", "fd10::10"),
        ("l4b", "core", "fd10::11"),
        ("web1", "zone-a", "fd10:1::21"),
        ("web2", "zone-b", "fd10:2::22"),
    ):
        machines[name].setdefault("addresses6", {})[segment] = address
    for number, name in enumerate(("l4", "l4b"), 1):
        machines[name]["laddrs"].append(f"fd30:{number}::f000")
        machines[name]["prefixes"].append(f"fd30:{number}::/64")
    for name, hook in HOOKS.items():
        machines[name]["hook"] = hook
    vpcs["six"] |= {"underlay": "ipv4"}
    vpcs["green"] |= {"underlay": "ipv6", "mtu": 1430}
    vpcs["deep"] = {"vni": 10040, "cidr": "fd00:b::/64", "mtu": 1430, "underlay": "ipv6"}
    written["vms"]["deep1"] = {"vpc": "deep", "host": "host1", "address": "fd00:b::10"}
    return topology.parse(yaml.safe_dump(written, sort_keys=False))


def upstream(lab: Lab, row: Row, port: int) -> dict[str, object]:
    """What leads to a row's endpoint."""
    if vm := lab.topology.vms.get(row.place):
        return {"type": "roundrobin", "nodes": {vm.at(port): 1}, "vpc_id": vm.vpc}
    machine = lab.topology.machines[row.place]
    node = f"{machine.address}:{port}" if row.family == 4 else f"[{machine.address6}]:{port}"
    return {"type": "roundrobin", "nodes": {node: 1}}


@contextmanager
def published(lab: Lab, found: tuple[Row, ...]) -> Iterator[None]:
    """Routes, tunnels and VIPs of all rows; endpoints that answer tunnels."""
    with ExitStack() as stack:
        for place in ENDPOINTS:
            echo = spawn(lab, place, "upgraded", [sys.executable, str(Path(echo_upgraded.__file__))])
            stack.callback(process.stop, [echo], 5)
        for row in found:
            host = f"{row.name}.example.com"
            refused = {"host": host, "uri": "/forbidden", "upstream": EMPTY, "splice": "auto", "priority": 9}
            tunnel = {"host": f"tunnel.{host}", "uri": "/*", "enable_websocket": True}
            objects: list[tuple[str, dict[str, object]]] = [
                (
                    f"/apisix/admin/routes/{row.name}",
                    {"host": host, "uri": "/*", "upstream": upstream(lab, row, 80), "splice": "auto"},
                ),
                (f"/apisix/admin/routes/{row.name}-no", refused),
                (
                    f"/apisix/admin/routes/{row.name}-tunnel",
                    {**tunnel, "upstream": upstream(lab, row, echo_upgraded.PORT)},
                ),
            ]
            if row.l4:
                targets = [{"node": row.gateway, "port": 80}]
                vip = {"address": row.address, "port": 80, "mode": row.entry, "targets": targets}
                objects.append((f"/unilb/vips/{row.name}", vip))
            for path, body in objects:
                put(lab, path, body)
                stack.callback(admin, lab, "DELETE", path)
        yield
