"""Which plan a node's datapath is given, and what is said of one that it cannot have."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from control.model.node import Node
from control.model.vip import Check, Vip, VipTarget
from userspace.config.compile_datapath import DatapathPlan, TargetPlan, UpShare
from userspace.config.settings import Settings
from userspace.config.snapshot import EMPTY, Snapshot
from userspace.node.apply import PlanTooLarge
from userspace.node.links import LinkError
from userspace.node.planning import Planning

L4 = Node("l4", "l4", "core", "10.0.0.10", ("10.100.1.1",))
GW1, GW2 = (Node(id, "gateway", "a", f"10.1.0.1{n}", ()) for n, id in ((1, "gw1"), (2, "gw2")))
ONE, TWO = TargetPlan("10.1.0.11", 80), TargetPlan("10.1.0.12", 80)
KEY = ("10.100.0.10", 80, 6)


def snapshot(*nodes: Node, mode: str = "fnat", check: Check | None = None) -> Snapshot:
    targets = (VipTarget("gw1", 80), VipTarget("gw2", 80))
    vip = Vip("v", KEY[0], 80, "tcp", targets, mode, check or Check())
    return replace(EMPTY, nodes={node.id: node for node in nodes}, vips={"v": vip})  # type: ignore[arg-type]


@dataclass
class Kernel:
    """A datapath that notes what it is given. `refuses`: what it raises."""

    plans: list[DatapathPlan] = field(default_factory=list)
    owned: list[frozenset[str]] = field(default_factory=list)
    removals: int = 0
    refuses: Exception | None = None

    @property
    def applier(self) -> Any:
        return self

    def probe_addresses(self) -> dict[TargetPlan, str]:
        return {ONE: "240.0.0.1", TWO: "240.0.0.2"}

    def add(self, plan: DatapathPlan) -> None:
        if isinstance(self.refuses, PlanTooLarge):
            raise self.refuses
        self.plans.append(plan)

    def remove(self) -> None:
        self.removals += 1

    async def own(self, vips: frozenset[str]) -> None:
        if isinstance(self.refuses, LinkError):
            raise self.refuses
        self.owned.append(vips)


def planning(id: str, found: Snapshot) -> tuple[Planning, Kernel]:
    kernel = Kernel()
    return Planning(id, lambda: found, kernel), kernel  # type: ignore[arg-type]


async def test_a_gateway_is_given_its_plan_and_its_vips() -> None:
    planned, kernel = planning("gw1", snapshot(L4, GW1, GW2, mode="dsr"))
    await planned.add()
    assert kernel.plans[0].tunnellers == {"10.0.0.10"}
    assert kernel.owned == [frozenset({KEY[0]})]
    assert planned.refused == ""
    assert planned.reported() == {}  # of VIPs, which gateways do not check


@pytest.mark.parametrize("problem", [PlanTooLarge("map targets is full"), LinkError("no such device")])
async def test_what_the_kernel_refuses_is_said_until_it_takes_it(problem: Exception) -> None:
    planned, kernel = planning("gw1", snapshot(L4, GW1))
    kernel.refuses = problem
    await planned.add()
    assert planned.refused == str(problem)
    kernel.refuses = None
    await planned.add()
    assert planned.refused == ""


async def test_a_node_whose_object_is_gone_keeps_its_last_plan() -> None:
    planned, kernel = planning("l4", snapshot(GW1, GW2))
    await planned.add()
    assert "gone from the store" in planned.refused
    assert kernel.plans == []


async def test_targets_that_fail_leave_the_rings_at_once_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    planned, kernel = planning("l4", snapshot(L4, GW1, GW2))
    monkeypatch.setattr("userspace.node.probing.Checking.start", lambda checking: None)
    checking = planned.start_probing(planned.plan(L4), kernel, Settings(), None)  # type: ignore[arg-type]
    row = ["v", "240.0.0.1", 80, "x", ["240.0.0.1:80"], "unhealthy", 0, 0, 3, 0, "connect: refused", []]
    checking._received({"type": "health", "rows": [row], "gone": []})
    assert kernel.plans[-1].services[KEY] == {ONE: 0, TWO: 1}
    assert kernel.plans[-1].down == {ONE}
    row[5] = "healthy"
    checking._received({"type": "health", "rows": [row], "gone": []})
    assert kernel.plans[-1].services[KEY] == {ONE: 1, TWO: 1}
    assert (kernel.plans[-1].down, kernel.removals) == (frozenset(), 2)


def test_a_panic_is_said_when_it_begins_and_when_it_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = snapshot(L4, GW1, GW2, check=Check(panic_threshold=60))
    planned, kernel = planning("l4", found)
    monkeypatch.setattr("userspace.node.probing.Checking.start", lambda checking: None)
    checking = planned.start_probing(planned.plan(L4), kernel, Settings(), None)  # type: ignore[arg-type]

    def told(status: str) -> list[str]:
        caplog.clear()
        for address in ("240.0.0.1", "240.0.0.2"):
            why = ["v", address, 80, "x", [f"{address}:80"], status, 0, 0, 3, 0, "connect: refused", []]
            checking._received({"type": "health", "rows": [why], "gone": []})
        return [record.getMessage() for record in caplog.records if record.getMessage().startswith("VIP")]

    assert told("unhealthy") == ["VIP v: 1 of 2 targets up, less than 60 %: all are used"]
    assert planned.panics == ["v"]
    down = ["10.1.0.11:80", "10.1.0.12:80"]
    assert planned.reported() == {"vips": {"v": {"up": 0, "checked": 2, "down": down, "panic": True}}}
    assert (kernel.plans[-1].services[KEY], kernel.plans[-1].down) == ({ONE: 1, TWO: 1}, frozenset())
    assert told("unhealthy") == []
    assert told("healthy") == ["VIP v: those of its targets that are up are used alone again"]
    assert (planned.panics, planned.shares) == ([], {"v": UpShare(2, 2, 60)})
