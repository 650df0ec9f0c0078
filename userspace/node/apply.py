"""DatapathPlan -> maps: `add` before workers route by a change, `remove` after."""

from collections.abc import Mapping
from ctypes import c_uint32
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from zlib import crc32

from userspace.balancer.maglev import build_ring
from userspace.config.compile_datapath import DatapathPlan, EndpointPlan, TargetPlan
from userspace.node import abi
from userspace.node.abi import RING_SIZE, Forwarding, Owned, TargetState
from userspace.node.accounts import Accounts
from userspace.node.maps import Table
from userspace.node.reconcile import Operations, diff

# Where probes are sent, on L4 nodes; nothing of it leaves the machine. IPv4's reserved block, which nobody routes.
PROBE_NET, PROBE6_NET = IPv4Network("240.0.0.0/8"), IPv6Network("fd75:756e:6c62::/96")
# Maps whose values the kernel writes: only keys are ours.
COUNTED = frozenset({"vteps"})


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the plan cannot know: addresses and devices of this machine. mtu of the underlay device, bytes."""

    underlay: str
    underlay_ifindex: int
    underlay_mtu: int
    vpc_ifindex: int = 0
    vpc_mac: str = "00:00:00:00:00:00"
    toa_kind: int = 254
    vpc_peer_ifindex: int = 0
    underlay6: str = ""
    segments_ifindex: int = 0
    xdp_redirect: bool = False


class PlanTooLarge(Exception):
    """The configuration needs more entries than a map has; names the map and both numbers. Nothing was written."""


def tunnel_overhead(address: str) -> int:
    """Return the bytes that VXLAN adds to a packet towards a VTEP of this address's family."""
    return 70 if ":" in address else 50


def inner_mac(underlay: str) -> str:
    """Return the MAC that VMs know a gateway by: 02:75 and the four bytes of its underlay address.

    Locally administered, stable, and never that of a vxlan device, which drops packets from its own MAC.
    """
    return "02:75:" + ":".join(f"{byte:02x}" for byte in bytes(abi.addr(underlay))[12:])


def machine_entry(plan: DatapathPlan, facts: MachineFacts) -> abi.Machine:
    v4 = [laddr for laddr in plan.laddrs if ":" not in laddr]
    return abi.Machine(
        underlay=abi.addr(facts.underlay),
        underlay6=abi.addr(facts.underlay6) if facts.underlay6 else abi.Addr(),
        underlay_ifindex=facts.underlay_ifindex,
        vpc_ifindex=facts.vpc_ifindex,
        vpc_mac=abi.mac(facts.vpc_mac),
        inner_mac=abi.mac(inner_mac(facts.underlay)),
        vpc_peer_ifindex=facts.vpc_peer_ifindex,
        segments_ifindex=facts.segments_ifindex,
        laddr_count=len(v4),
        laddr6_count=len(plan.laddrs) - len(v4),
        port_min=plan.port_min,
        port_max=plan.port_max,
        mtu=facts.underlay_mtu,
        toa_kind=facts.toa_kind,
        xdp_redirect=facts.xdp_redirect,
    )


def desired(plan: DatapathPlan, account: Mapping[int, int], mtu: int) -> dict[str, dict[bytes, bytes]]:
    """Return the contents of every hash that holds nothing but the plan. account: of each VNI. mtu: of the underlay."""
    owned = dict.fromkeys(plan.vips, Owned.VIP) | dict.fromkeys(plan.dsr, Owned.DSR)
    if plan.vips:
        owned |= dict.fromkeys(plan.laddrs, Owned.LADDR)
    senders = plan.vteps | {(address, abi.DSR_VNI) for address in (None, *plan.tunnellers) if plan.tunnellers}
    return {
        "endpoints": {
            bytes(abi.addr(unique_ip)): _endpoint(e, e.addr, account.get(e.vni, 0), mtu)
            for unique_ip, e in plan.endpoints.items()
        },
        "hosts": {
            bytes(abi.HostKey(addr=abi.addr(ip), vni=vni)): _endpoint(e, unique_ip, account.get(vni, 0), mtu)
            for (ip, vni), (unique_ip, e) in plan.hosts.items()
        },
        "vteps": {
            bytes(abi.VtepKey(vtep=abi.addr(vtep) if vtep else abi.Addr(), vni=vni)): bytes(abi.Traffic())
            for vtep, vni in senders
        },
        "owned": {bytes(abi.addr(a)): bytes(c_uint32(role)) for a, role in owned.items()},
        "toa_trusted": {bytes(abi.addr(a)): bytes(c_uint32(1)) for a in plan.toa_trusted},
    }


def _endpoint(e: EndpointPlan, address: str, account: int, underlay_mtu: int) -> bytes:
    where = abi.addr(address) if address else abi.Addr()
    mtu = min(e.mtu, underlay_mtu - tunnel_overhead(e.vtep))
    return bytes(
        abi.Endpoint(addr=where, vtep=abi.addr(e.vtep), vni=e.vni, mac=abi.mac(e.mac), mtu=mtu, account=account)
    )


def ring_name(target: TargetPlan) -> str:
    """Return the name that places a target in a ring: the same on every L4 node."""
    return f"{target.vni}/{target.address}:{target.port}" if target.vni else f"{target.address}:{target.port}"


@dataclass(slots=True)
class Applier:
    """Writes plans to one node's maps and remembers which ring slots and targets are in use."""

    tables: Mapping[str, Table]
    facts: MachineFacts
    # CRC-32 of each service's ring, by its names: equal on L4 nodes that steer alike.
    checksums: dict[bytes, int] = field(default_factory=dict)
    # (index, generation) of the targets whose sessions end.
    down: frozenset[tuple[int, int]] = frozenset()
    # The pool of the last plan: its addresses, and the ports of each.
    laddrs: tuple[str, ...] = ()
    ports_each: int = 0
    _deletes: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    _targets: dict[TargetPlan, int] = field(default_factory=dict)
    _rings: dict[bytes, tuple[int, tuple[tuple[TargetPlan, int], ...]]] = field(default_factory=dict)
    _accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        """Number the targets as an earlier node did: rings in use name them by number."""
        self._accounts = Accounts(self.tables)
        if "targets" in self.tables:
            for index, raw in self.tables["targets"].items():
                target = abi.Target.from_buffer_copy(raw)
                if target.port:
                    vip = abi.text(target.vip) if any(target.vip.bytes) else ""
                    place = TargetPlan(abi.text(target.addr), target.port, target.vni, vip)
                    self._targets[place] = int.from_bytes(index, "little")

    def add(self, plan: DatapathPlan) -> None:
        """Write what the plan has and the maps lack. Raises PlanTooLarge before the first write."""
        self._check_sizes(plan)
        self.laddrs, self.ports_each = plan.laddrs, plan.port_max - plan.port_min + 1
        vnis = {vni for _, vni in plan.vteps}
        account = self._accounts.of({service_key(*key) for key in plan.services}, vnis)
        contents = desired(plan, {vni: account[vni] for vni in vnis}, self.facts.underlay_mtu)
        operations = {name: self._diff(name, entries) for name, entries in contents.items() if name in self.tables}
        self._put_laddrs(plan)
        for name, operation in operations.items():
            if name != "owned":
                self._put(name, operation)
        if "services" in self.tables:
            self._put_services(plan, account)
        # Last: an address becomes the datapath's only when everything behind it is there.
        if "owned" in operations:
            self._put("owned", operations["owned"])

    def remove(self) -> None:
        """Delete what the last plan no longer has."""
        for name in ("owned", "services", "endpoints", "hosts", "vteps", "toa_trusted"):
            for key in self._deletes.pop(name, ()):
                self.tables[name].delete(key)
                self._rings.pop(key, None)
                self.checksums.pop(key, None)

    def _diff(self, name: str, entries: dict[bytes, bytes]) -> Operations:
        operation = diff(dict(self.tables[name].items()), entries, keep_values=name in COUNTED)
        self._deletes[name] = operation.deletes
        return operation

    def _put(self, name: str, operation: Operations) -> None:
        for key, value in operation.puts.items():
            self.tables[name].put(key, value)

    def _check_sizes(self, plan: DatapathPlan) -> None:
        wanted = {name: len(entries) for name, entries in desired(plan, {}, self.facts.underlay_mtu).items()}
        wanted |= {"laddrs": len(plan.laddrs), "services": len(plan.services)}
        wanted["targets"] = 1 + len({target for targets in plan.services.values() for target in targets})
        wanted["accounts"] = 1 + len(plan.services) + len({vni for _, vni in plan.vteps})
        for name, count in wanted.items():
            if name in self.tables and count > self.tables[name].shape.max_entries:
                raise PlanTooLarge(f"map {name} has {self.tables[name].shape.max_entries} entries, {count} are needed")

    def _put_laddrs(self, plan: DatapathPlan) -> None:
        for index, laddr in enumerate(sorted(plan.laddrs, key=lambda laddr: ":" in laddr)):
            self.tables["laddrs"].put(c_uint32(index), abi.addr(laddr))
        self.tables["machine"].put(c_uint32(0), machine_entry(plan, self.facts))

    def _put_services(self, plan: DatapathPlan, account: Mapping[bytes | int, int]) -> None:
        """Write targets, then rings into free slots, then the services that point to them."""
        keys = {service_key(*key): tuple(sorted(targets.items())) for key, targets in plan.services.items()}
        self._put_targets({target for targets in keys.values() for target, _ in targets}, plan.down)
        for key, targets in keys.items():
            if key in self._rings and self._rings[key][1] == targets:
                continue
            slot = self._free_slot()
            self.checksums[key] = self._write_ring(slot, dict(targets))
            is_dsr = any(target.vip for target, _ in targets)
            mode = Forwarding.DSR if is_dsr else Forwarding.FNAT
            self.tables["services"].put(key, abi.Service(ring=slot, account=account[key], mode=mode))
            self._rings[key] = (slot, targets)
        self._deletes["services"] = tuple(k for k, _ in self.tables["services"].items() if k not in keys)

    def _put_targets(self, wanted: set[TargetPlan], down: frozenset[TargetPlan]) -> None:
        """Give each target a stable index. Rings of old sessions hold none, so an index is free once unused; its next
        generation tells those sessions that it is another's now."""
        table = self.tables["targets"]
        self._targets = {target: index for target, index in self._targets.items() if target in wanted}
        taken = set(self._targets.values())
        free = (i for i in range(1, table.shape.max_entries) if i not in taken)
        fresh = {target: next(free) for target in sorted(wanted - self._targets.keys())}
        self._targets |= fresh
        ended = set()
        for target, index in self._targets.items():
            raw = table.get(c_uint32(index)) or b""
            generation = abi.Target.from_buffer_copy(raw).generation + (target in fresh)
            state = TargetState.DOWN if target in down else TargetState.UP
            entry = abi.Target(
                addr=abi.addr(target.address),
                vip=abi.addr(target.vip) if target.vip else abi.Addr(),
                port=target.port,
                vni=target.vni,
                state=state,
                generation=generation,
            )
            if bytes(entry) != raw:
                table.put(c_uint32(index), entry)
            if target in down:
                ended.add((index, generation))
        self.down = frozenset(ended)

    def probe_addresses(self) -> dict[TargetPlan, str]:
        """Return the address that stands for each target where probes are sent: its number, under its generation."""
        found = {}
        for target, index in self._targets.items():
            raw = self.tables["targets"].get(c_uint32(index)) or bytes(abi.Target())
            generation = abi.Target.from_buffer_copy(raw).generation & 0xFF
            if ":" in (target.vip or target.address):
                found[target] = str(PROBE6_NET[generation << 16 | index])
            else:
                found[target] = str(PROBE_NET[generation << 16 | index])
        return found

    def _free_slot(self) -> int:
        """Return a slot that no service points to: there are two per service."""
        used = {abi.Service.from_buffer_copy(value).ring for _, value in self.tables["services"].items()}
        slots = self.tables["rings"].shape.max_entries // RING_SIZE
        return next(slot for slot in range(slots) if slot not in used)

    def _write_ring(self, slot: int, weights: Mapping[TargetPlan, int]) -> int:
        """Write a ring and return its checksum."""
        ring = build_ring({ring_name(target): weight for target, weight in weights.items()}, RING_SIZE)
        index = {ring_name(target): self._targets[target] for target in weights}
        first = slot * RING_SIZE
        entries = [index[name] for name in ring] or [0] * RING_SIZE
        self.tables["rings"].put_many(
            (bytes(c_uint32(first + i)), bytes(c_uint32(target))) for i, target in enumerate(entries)
        )
        return crc32("\n".join(ring).encode())


def service_key(vip: str, port: int, proto: int) -> bytes:
    return bytes(abi.ServiceKey(addr=abi.addr(vip), port=port, proto=proto))
