"""DatapathPlan -> maps: `add` before workers route by a change, `remove` after."""

from collections.abc import Mapping
from ctypes import c_uint32
from dataclasses import dataclass, field

from userspace.balancer.maglev import build_ring
from userspace.config.compile_datapath import DatapathPlan
from userspace.node import abi
from userspace.node.abi import RING_SIZE, Owned
from userspace.node.maps import Table
from userspace.node.reconcile import Operations, diff

# Maps whose values the kernel writes: only keys are ours.
COUNTED = frozenset({"vteps"})


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the plan cannot know: devices of this machine. mtu of the underlay device, bytes."""

    underlay: str
    underlay_ifindex: int
    underlay_mtu: int
    vpc_ifindex: int = 0
    vpc_mac: str = "00:00:00:00:00:00"
    toa_kind: int = 254


class PlanTooLarge(Exception):
    """The configuration needs more entries than a map has; names the map and both numbers. Nothing was written."""


def inner_mac(underlay: str) -> str:
    """Return the MAC that VMs know a gateway by: 02:75 and the four bytes of its underlay address.

    Locally administered, stable, and never that of a vxlan device, which drops packets from its own MAC.
    """
    return "02:75:" + ":".join(f"{byte:02x}" for byte in bytes(abi.addr(underlay))[12:])


def machine_entry(plan: DatapathPlan, facts: MachineFacts) -> abi.Machine:
    return abi.Machine(
        underlay=abi.addr(facts.underlay),
        underlay_ifindex=facts.underlay_ifindex,
        vpc_ifindex=facts.vpc_ifindex,
        vpc_mac=abi.mac(facts.vpc_mac),
        inner_mac=abi.mac(inner_mac(facts.underlay)),
        laddr_count=len(plan.laddrs),
        port_min=plan.port_min,
        port_max=plan.port_max,
        toa_mss=facts.underlay_mtu - 40 - 8,  # IPv4 and TCP headers, the TOA option
        toa_kind=facts.toa_kind,
    )


def desired(plan: DatapathPlan) -> dict[str, dict[bytes, bytes]]:
    """Return the contents of every hash that holds nothing but the plan."""
    owned = dict.fromkeys(plan.vips, Owned.VIP)
    if plan.vips:
        owned |= dict.fromkeys(plan.laddrs, Owned.LADDR)
    return {
        "endpoints": {
            bytes(abi.addr(unique_ip)): bytes(
                abi.Endpoint(addr=abi.addr(e.addr), vtep=abi.addr(e.vtep), vni=e.vni, mac=abi.mac(e.mac), mtu=e.mtu)
            )
            for unique_ip, e in plan.endpoints.items()
        },
        "vteps": {
            bytes(abi.VtepKey(vtep=abi.addr(vtep) if vtep else abi.Addr(), vni=vni)): bytes(abi.Traffic())
            for vtep, vni in plan.vteps
        },
        "owned": {bytes(abi.addr(a)): bytes(c_uint32(role)) for a, role in owned.items()},
        "toa_trusted": {bytes(abi.addr(a)): bytes(c_uint32(1)) for a in plan.toa_trusted},
    }


@dataclass(slots=True)
class Applier:
    """Writes plans to one node's maps and remembers which ring slots and targets are in use."""

    tables: Mapping[str, Table]
    facts: MachineFacts
    _deletes: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    _targets: dict[tuple[str, int], int] = field(default_factory=dict)
    _rings: dict[bytes, tuple[int, tuple[tuple[tuple[str, int], int], ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Number the targets as an earlier node did: rings in use name them by number."""
        if "targets" in self.tables:
            for index, raw in self.tables["targets"].items():
                target = abi.Target.from_buffer_copy(raw)
                if target.port:
                    self._targets[abi.text(target.addr), target.port] = int.from_bytes(index, "little")

    def add(self, plan: DatapathPlan) -> None:
        """Write what the plan has and the maps lack. Raises PlanTooLarge before the first write."""
        contents = desired(plan)
        self._check_sizes(plan, contents)
        operations = {name: self._diff(name, entries) for name, entries in contents.items() if name in self.tables}
        self._put_laddrs(plan)
        for name, operation in operations.items():
            if name != "owned":
                self._put(name, operation)
        if "services" in self.tables:
            self._put_services(plan)
        # Last: an address becomes the datapath's only when everything behind it is there.
        if "owned" in operations:
            self._put("owned", operations["owned"])

    def remove(self) -> None:
        """Delete what the last plan no longer has."""
        for name in ("owned", "services", "endpoints", "vteps", "toa_trusted"):
            for key in self._deletes.pop(name, ()):
                self.tables[name].delete(key)
                self._rings.pop(key, None)

    def _diff(self, name: str, entries: dict[bytes, bytes]) -> Operations:
        operation = diff(dict(self.tables[name].items()), entries, keep_values=name in COUNTED)
        self._deletes[name] = operation.deletes
        return operation

    def _put(self, name: str, operation: Operations) -> None:
        for key, value in operation.puts.items():
            self.tables[name].put(key, value)

    def _check_sizes(self, plan: DatapathPlan, contents: Mapping[str, Mapping[bytes, bytes]]) -> None:
        wanted = {name: len(entries) for name, entries in contents.items()}
        wanted |= {"laddrs": len(plan.laddrs), "services": len(plan.services)}
        wanted["targets"] = 1 + len({target for targets in plan.services.values() for target in targets})
        for name, count in wanted.items():
            if name in self.tables and count > self.tables[name].shape.max_entries:
                raise PlanTooLarge(f"map {name} has {self.tables[name].shape.max_entries} entries, {count} are needed")

    def _put_laddrs(self, plan: DatapathPlan) -> None:
        for index, laddr in enumerate(plan.laddrs):
            self.tables["laddrs"].put(c_uint32(index), abi.addr(laddr))
        self.tables["machine"].put(c_uint32(0), machine_entry(plan, self.facts))

    def _put_services(self, plan: DatapathPlan) -> None:
        """Write targets, then rings into free slots, then the services that point to them."""
        keys = {
            bytes(abi.ServiceKey(addr=abi.addr(vip), port=port, proto=proto)): tuple(sorted(targets.items()))
            for (vip, port, proto), targets in plan.services.items()
        }
        self._number_targets({target for targets in keys.values() for target, _ in targets})
        for key, targets in keys.items():
            if key in self._rings and self._rings[key][1] == targets:
                continue
            slot = self._free_slot()
            self._write_ring(slot, dict(targets))
            self.tables["services"].put(key, abi.Service(ring=slot))
            self._rings[key] = (slot, targets)
        self._deletes["services"] = tuple(k for k, _ in self.tables["services"].items() if k not in keys)

    def _number_targets(self, wanted: set[tuple[str, int]]) -> None:
        """Give each target a stable index. Rings of old sessions hold none, so an index is free once unused."""
        self._targets = {target: index for target, index in self._targets.items() if target in wanted}
        free = (i for i in range(1, self.tables["targets"].shape.max_entries) if i not in set(self._targets.values()))
        for target in sorted(wanted - self._targets.keys()):
            self._targets[target] = index = next(free)
            address, port = target
            self.tables["targets"].put(c_uint32(index), abi.Target(addr=abi.addr(address), port=port))

    def _free_slot(self) -> int:
        """Return a slot that no service points to: there are two per service."""
        used = {abi.Service.from_buffer_copy(value).ring for _, value in self.tables["services"].items()}
        slots = self.tables["rings"].shape.max_entries // RING_SIZE
        return next(slot for slot in range(slots) if slot not in used)

    def _write_ring(self, slot: int, weights: Mapping[tuple[str, int], int]) -> None:
        ring = build_ring({f"{address}:{port}": weight for (address, port), weight in weights.items()}, RING_SIZE)
        index = {f"{address}:{port}": self._targets[address, port] for address, port in weights}
        first = slot * RING_SIZE
        entries = [index[name] for name in ring] or [0] * RING_SIZE
        self.tables["rings"].put_many(
            (bytes(c_uint32(first + i)), bytes(c_uint32(target))) for i, target in enumerate(entries)
        )
