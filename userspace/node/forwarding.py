"""The datapath of one machine at work: brought up for a role, kept to the plan, its sessions aged."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from control.model.node import Node
from userspace.config.compile_datapath import DatapathPlan
from userspace.node import datapath, links
from userspace.node.ageing import Timeouts, sweep
from userspace.node.apply import Applier, MachineFacts
from userspace.node.counters import DatapathCollector
from userspace.node.datapath import Datapath, Sizes
from userspace.node.machine import ensure_bpffs, own_cgroup

SWEEP_EVERY = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class ForwardingSettings:
    """hook: tcx, clsact or auto. pool: the unique IPs. cache: where a joined header tree may be made."""

    hook: str = "auto"
    pool: str = "100.64.0.0/10"
    toa_kind: int = 254
    sizes: Sizes = Sizes()
    timeouts: Timeouts = Timeouts()
    cache: Path = Path("/var/cache/unilb")


@dataclass(slots=True)
class Forwarding:
    """One loaded and attached datapath. All calls from one thread; `age` runs until cancelled."""

    datapath: Datapath
    applier: Applier
    collector: DatapathCollector
    timeouts: Timeouts

    def add(self, plan: DatapathPlan) -> None:
        """Write what a plan brings. Raises PlanTooLarge."""
        self.applier.add(plan)

    def remove(self) -> None:
        """Delete what the last plan no longer has."""
        self.applier.remove()

    async def age(self) -> None:
        while True:
            started = time.monotonic()
            swept = await asyncio.to_thread(sweep, self.datapath.tables["sessions"], time.monotonic_ns(), self.timeouts)
            self.collector.note(swept, time.monotonic() - started)
            await asyncio.sleep(SWEEP_EVERY)

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
    devices = {"underlay": underlay.index}
    facts = MachineFacts(me.address, underlay.index, underlay.mtu, toa_kind=settings.toa_kind)
    cgroup = None
    if me.role == "gateway":
        links.prepare_gateway()
        vpc = links.ensure_vpc_device(settings.pool, underlay, me.address)
        devices["vpc"] = vpc.index
        facts = MachineFacts(me.address, underlay.index, underlay.mtu, vpc.index, vpc.mac, settings.toa_kind)
        cgroup = os.open(own_cgroup(me.id), os.O_RDONLY)
    else:
        links.prepare_l4(underlay)
    try:
        loaded = datapath.load(root, me.role, settings.sizes, settings.cache)
        applier = Applier(loaded.tables, facts)
        applier.add(plan)
        datapath.attach(loaded, devices, cgroup, settings.hook)
        applier.remove()
    finally:
        if cgroup is not None:
            os.close(cgroup)
    return Forwarding(loaded, applier, DatapathCollector(loaded.tables, loaded.kernel_bytes()), settings.timeouts)


def take_down() -> list[str]:
    """Remove every trace of the datapath from this machine; return what was there. Sessions end."""
    removed = []
    root = ensure_bpffs()
    if datapath.detach(root):
        removed.append(f"programs and maps below {root}")
    removed += [f"filters on {name}" for name in links.detach_every_clsact()]
    if links.remove_vpc_device():
        removed.append(f"device {links.VPC_DEVICE}")
    return removed
