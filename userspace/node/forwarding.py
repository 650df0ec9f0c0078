"""The datapath of one machine at work: brought up for a role, kept to the plan, its sessions aged."""

import asyncio
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from control.model.node import Node
from userspace.config.compile_datapath import DatapathPlan
from userspace.config.settings import Settings
from userspace.node import datapath, links, offloads, resets
from userspace.node.ageing import Swept, Timeouts, sweep
from userspace.node.apply import PROBE6_NET, PROBE_NET, Applier, MachineFacts, tunnel_overhead
from userspace.node.counters import DatapathCollector
from userspace.node.datapath import Datapath, Sizes
from userspace.node.image_cache import CACHE
from userspace.node.links import LinkError
from userspace.node.machine import ensure_bpffs, own_cgroup
from userspace.node.splice_ageing import SpliceLimits
from userspace.node.splice_lines import SpliceLines
from userspace.node.splice_setup import splicing_over
from userspace.node.splicing import Splicing

SWEEP_EVERY = 5.0  # seconds
SWEEP_SHARE = 0.05  # of one CPU at most: a sweep of a million sessions is followed by a longer pause


@dataclass(frozen=True, slots=True)
class ForwardingSettings:
    """hook: as datapath.attach() says. pool, pool6: the unique IPs. cache: where images and a joined header tree may be
    made. splice_age: seconds after which a splice ends, 0 for never."""

    hook: str = "auto"
    pool: str = "100.64.0.0/10"
    pool6: str = "fd75:6e69:6c62::/64"
    toa_kind: int = 254
    sizes: Sizes = Sizes()
    timeouts: Timeouts = Timeouts()
    splice_age: float = 0
    cache: Path = CACHE


@dataclass(slots=True)
class Forwarding:
    """One loaded and attached datapath. All calls from one thread; `age` runs until cancelled.

    underlay: the device whose neighbours the programs send to; 0 where the kernel sends. device: that
    device's name.
    """

    datapath: Datapath
    applier: Applier
    collector: DatapathCollector
    timeouts: Timeouts
    underlay: int = 0
    device: str = ""
    _owned: frozenset[str] = frozenset()

    def add(self, plan: DatapathPlan) -> None:
        """Write what a plan brings. Raises PlanTooLarge."""
        self.applier.add(plan)

    def remove(self) -> None:
        """Delete what the last plan no longer has."""
        self.applier.remove()

    async def own(self, vips: frozenset[str]) -> None:
        """Receive packets for exactly these DSR VIPs. Raises LinkError."""
        if vips != self._owned:
            await asyncio.to_thread(links.own_vips, vips, self.device)
            self._owned = vips

    async def age(self) -> None:
        thorough = False
        while True:
            started = time.monotonic()
            swept = await asyncio.to_thread(self._sweep, thorough)
            spent = time.monotonic() - started
            self.collector.note(swept, spent)
            thorough = swept.orphans > 0 and not thorough
            if self.underlay:
                await asyncio.to_thread(links.refresh_neighbours, self.underlay)
            await asyncio.sleep(max(SWEEP_EVERY, spent / SWEEP_SHARE))

    def _sweep(self, thorough: bool) -> Swept:
        down = self.applier.down
        swept = sweep(self.datapath.tables["sessions"], time.monotonic_ns(), self.timeouts, down, thorough)
        if swept.resets:
            self.collector.resets += resets.reset_ends(self.datapath.tables, swept.resets)
        return swept

    def splicing(self, names: Path, age: float) -> Splicing | None:
        """Return what splices over this datapath, None if it is an L4 node's. names: see SpliceAccounts."""

        def count(resets: int) -> None:
            self.collector.resets += resets

        limits = SpliceLimits(self.timeouts.established, age)
        return splicing_over(self.datapath, self.applier.facts.underlay_ifindex, limits, names, count)

    def lines(self, splicing: Splicing, worker: Settings, user: str | None, state: Path) -> SpliceLines | None:
        """Start who logs spliced requests, where a worker would log them. state: see SpliceLines."""
        if worker.access_log == "off" or not worker.access_log_spliced:
            return None
        ring = self.datapath.root / "splice_requests"
        lines = SpliceLines(worker, user, ring, state, splicing.lookup, splicing.accounts)
        splicing.on_end = lines.ended
        lines.start()
        return lines

    def close(self) -> None:
        """Let go of it; programs, maps and sessions stay in the kernel."""
        self.datapath.close()


def bring_up(me: Node, plan: DatapathPlan, settings: ForwardingSettings) -> Forwarding:
    """Load or adopt the datapath of the node's role, write its maps, and only then attach it.

    Raises LinkError, MachineError, LoadError, HeadersMissing, MapMismatch, PlanTooLarge.
    """
    root = ensure_bpffs()
    root.mkdir(exist_ok=True)
    underlay = links.device_of(me.address)
    if settings.hook in datapath.XDP_HOOKS and (found := offloads.obstacle(underlay.name)):
        raise LinkError(f"--hook {settings.hook} on {underlay.name} would lose TCP: {found.why}; mend: {found.mend}")
    if me.address6 and links.device_of(me.address6).index != underlay.index:
        raise LinkError(f"address6 {me.address6} of this node is not on {underlay.name}, where {me.address} is")
    devices = {"underlay": underlay.index}
    facts = MachineFacts(
        *(me.address, underlay.index, underlay.mtu),
        toa_kind=settings.toa_kind,
        underlay6=me.address6,
        segments_ifindex=links.ensure_segments_device() if me.address6 else 0,
        xdp_redirect=offloads.driver(underlay.name) == "veth",
    )
    cgroup = None
    if me.role == "gateway":
        links.prepare_gateway()
        pools = settings.pool, settings.pool6
        cgroup = os.open(own_cgroup(me.id), os.O_RDONLY)
    else:
        pools = str(PROBE_NET), str(PROBE6_NET)
        has_ipv6 = bool(me.address6) or any(":" in laddr for laddr in me.laddrs)
        links.prepare_l4(underlay, has_ipv6)
    vpc = links.ensure_vpc_device(*pools, underlay, me.address, tunnel_overhead(me.address6))
    if me.role == "l4":
        links.prepare_l4(vpc, has_ipv6)  # bpf_fib_lookup() answers for it as well
    devices["vpc"] = vpc.index
    if settings.hook in datapath.XDP_HOOKS:
        links.set_gro(links.VPC_DEVICE)
    facts = replace(facts, vpc_ifindex=vpc.index, vpc_mac=vpc.mac, vpc_peer_ifindex=links.vpc_peer())
    try:
        loaded = datapath.load(root, me.role, settings.sizes, settings.cache, settings.hook)
        applier = Applier(loaded.tables, facts)
        applier.add(plan)
        datapath.attach(loaded, devices, cgroup)
        applier.remove()
        links.own_vips(plan.dsr, underlay.name)
    finally:
        if cgroup is not None:
            os.close(cgroup)
    collector = DatapathCollector(
        loaded.tables, loaded.kernel_bytes(), applier.checksums, lambda: (applier.laddrs, applier.ports_each)
    )
    neighbours = underlay.index if me.role == "l4" or settings.hook in datapath.XDP_HOOKS else 0
    return Forwarding(loaded, applier, collector, settings.timeouts, neighbours, underlay.name, plan.dsr)


def take_down() -> list[str]:
    """Remove every trace of the datapath from this machine; return what was there. Sessions end."""
    removed = []
    root = ensure_bpffs()
    if datapath.detach(root):
        removed.append(f"programs and maps below {root}")
    removed += [f"filters on {name}" for name in links.detach_every_clsact()]
    removed += [f"local route for {vip}" for vip in links.disown_vips()]
    removed += [f"device {name}" for name in links.remove_devices()]
    return removed
