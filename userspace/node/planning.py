"""A node's datapath kept to its plan, which is compiled anew when the store or the health of targets says so."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from control.model.node import Node
from userspace.config.compile_datapath import DatapathPlan, TargetPlan, UpShare, compile_datapath
from userspace.config.settings import Settings
from userspace.config.snapshot import Snapshot
from userspace.node.apply import PlanTooLarge
from userspace.node.checking import Checking
from userspace.node.forwarding import Forwarding
from userspace.node.links import LinkError
from userspace.node.probing import Probing

log = logging.getLogger("unilb.node")


@dataclass(slots=True)
class Planning:
    """refused: why the datapath is not as the store has it, or "". probing: of an L4 node. shares: of the last plan."""

    id: str
    snapshot: Callable[[], Snapshot]
    forwarding: Forwarding | None = None
    probing: Probing | None = None
    refused: str = ""
    shares: Mapping[str, UpShare] = field(default_factory=dict)

    def plan(self, me: Node) -> DatapathPlan:
        """Return what the node `me` should do, by the last snapshot and what is known of its targets."""
        snapshot = self.snapshot()
        failing = self.probing.failing if self.probing is not None else frozenset[TargetPlan]()
        return compile_datapath(me, snapshot.nodes, snapshot.vpcs, snapshot.vips, failing)

    async def add(self) -> None:
        """Bring in what the plan has and the kernel lacks. What does not fit is refused whole: the last plan stays."""
        plan = self._apply()
        if plan is not None and self.forwarding is not None:
            try:
                await self.forwarding.own(plan.dsr)
            except LinkError as error:
                self._refuse(str(error))

    def start_probing(
        self, plan: DatapathPlan, forwarding: Forwarding, settings: Settings, user: str | None
    ) -> Checking:
        """Check the targets of an L4 node's VIPs from now on."""
        self.probing = Probing(settings, user, self._targets_changed)
        self.probing.want(plan.checks, forwarding.applier.probe_addresses())
        self.probing.checking.start()
        return self.probing.checking

    def _targets_changed(self) -> None:
        """Targets have failed, or are back: rings without them, or with them; sessions of the former end."""
        self._apply()
        if self.forwarding is not None:
            self.forwarding.remove()

    def _apply(self) -> DatapathPlan | None:
        me = self.snapshot().nodes.get(self.id)
        if me is None or self.forwarding is None:
            self._refuse("this node's own object is gone from the store: the last plan stays")
            return None
        plan = self.plan(me)
        try:
            self.forwarding.add(plan)
        except PlanTooLarge as error:
            self._refuse(str(error))
            return None
        self.refused = ""
        self._tell_panics(plan.shares)
        if self.probing is not None:
            self.probing.want(plan.checks, self.forwarding.applier.probe_addresses())
        return plan

    @property
    def panics(self) -> list[str]:
        """VIPs whose sessions go to all targets, as too few are up."""
        return sorted(id for id, share in self.shares.items() if share.is_panic)

    def reported(self) -> dict[str, Any]:
        """Return what the control plane is told of an L4 node's VIPs; nothing of a gateway."""
        if self.probing is None:
            return {}
        vips = self.probing.reported()
        return {"vips": {id: {**vips[id], "panic": id in self.panics} for id in sorted(vips)}}

    def _tell_panics(self, shares: Mapping[str, UpShare]) -> None:
        before, self.shares = self.panics, shares
        for id in self.panics:
            if id not in before:
                up, of, threshold = shares[id]
                log.warning("VIP %s: %d of %d targets up, less than %d %%: all are used", id, up, of, threshold)
        for id in before:
            if id not in self.panics:
                log.warning("VIP %s: those of its targets that are up are used alone again", id)

    def _refuse(self, why: str) -> None:
        self.refused = why
        log.error("datapath: %s", why)
