"""VIPs as the checker sees them, and what it says of them in the names of targets."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from control.model.vip import Check
from tests.userspace.health.endpoints import answering, closed_port, listening
from userspace.config.compile_datapath import TargetPlan
from userspace.config.settings import Settings
from userspace.node.probing import Probing, host_of

CLASSIC, VM = TargetPlan("10.1.0.21", 80), TargetPlan("192.168.0.10", 5432, 10010)
DSR = TargetPlan("10.1.0.11", 80, vip="10.100.0.20")
OK = answering(b"")


class Sent:
    """What is sent to the checker, which does not run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.changes: list[tuple[str, Any]] = []
        self.failed = 0
        self.probing = Probing(Settings(), None, self._failed)
        monkeypatch.setattr(self.probing.checking, "changes", self._taken)

    def _failed(self) -> None:
        self.failed += 1

    def _taken(self, revision: int, changes: list[tuple[str, bytes | None]]) -> None:
        self.changes = [(key, json.loads(value) if value is not None else None) for key, value in changes]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(monkeypatch)


def test_a_vip_is_an_upstream_whose_endpoints_are_probe_addresses(sent: Sent) -> None:
    check = Check(interval=5, timeout=0.5, rise=3, fall=4)
    sent.probing.want({"db": (check, (CLASSIC, VM))}, {CLASSIC: "240.0.0.1", VM: "240.0.0.2"})
    ((key, upstream),) = sent.changes
    assert key == "/apisix/upstreams/db"
    assert upstream["nodes"] == [
        {"host": "240.0.0.1", "port": 80, "weight": 1},
        {"host": "240.0.0.2", "port": 5432, "weight": 1},
    ]
    assert upstream["checks"]["active"] == {
        "type": "tcp",
        "timeout": 0.5,
        "healthy": {"interval": 5, "successes": 3},
        "unhealthy": {"interval": 5, "tcp_failures": 4, "timeouts": 4},
    }


def test_only_what_differs_is_told(sent: Sent) -> None:
    one, two = {"a": (Check(), (CLASSIC,))}, {"a": (Check(), (CLASSIC,)), "b": (Check(port=8080), (VM,))}
    addresses = {CLASSIC: "240.0.0.1", VM: "240.0.0.2"}
    sent.probing.want(one, addresses)
    sent.probing.want(two, addresses)
    assert [key for key, _ in sent.changes] == ["/apisix/upstreams/b"]
    assert sent.changes[0][1]["checks"]["active"]["port"] == 8080
    sent.probing.want(one, addresses)
    assert sent.changes == [("/apisix/upstreams/b", None)]
    sent.changes = []
    sent.probing.want(one, addresses)
    assert sent.changes == []


ROW = ["db", "240.0.0.2", 9000, "x", ["240.0.0.2:5432"], "unhealthy", 0, 0, 4, 0, "connect: refused", []]


def test_rows_go_there_and_back(sent: Sent) -> None:
    sent.probing.want({"db": (Check(port=9000), (CLASSIC, VM))}, {CLASSIC: "240.0.0.1", VM: "240.0.0.2"})
    shown = sent.probing.shown(ROW)
    assert shown == ["vips/db", "10010/192.168.0.10", 5432, "10010/192.168.0.10", ["10010/192.168.0.10:5432"], *ROW[5:]]
    assert (sent.probing.probed(shown) or [])[:3] == ["db", "240.0.0.2", 9000]
    assert sent.probing.shown(["db", "240.0.0.1", 9000]) == ["vips/db", "10.1.0.21", 80]
    sent.probing.want({}, {})
    assert sent.probing.probed(shown) is None
    assert sent.probing.shown(ROW[:3]) == ["vips/db", "10010/192.168.0.10", 5432]  # gone, but known


def test_what_fails_is_named_as_a_target(sent: Sent) -> None:
    sent.probing.want({"db": (Check(), (CLASSIC, VM))}, {CLASSIC: "240.0.0.1", VM: "240.0.0.2"})
    sent.probing.checking._received({"type": "health", "rows": [ROW], "gone": []})
    assert sent.probing.failing == {VM}
    assert sent.failed == 1
    assert sent.probing.checking.verdicts.all_down() == {"vips/db": ["10010/192.168.0.10:5432"]}
    sent.probing.checking._received({"type": "health", "rows": [], "gone": [ROW[:3]]})
    assert sent.probing.failing == frozenset()


def test_a_report_counts_the_targets_of_each_vip_and_names_those_that_are_down(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = {CLASSIC: "240.0.0.1", VM: "240.0.0.2"}
    sent.probing.want({"db": (Check(), (CLASSIC, VM)), "vm": (Check(), (VM,)), "web": (Check(), (CLASSIC,))}, addresses)
    sent.probing.checking._received({"type": "health", "rows": [ROW], "gone": []})
    down = "10010/192.168.0.10:5432"
    assert sent.probing.reported() == {
        "db": {"up": 1, "checked": 2, "down": [down]},
        "vm": {"up": 0, "checked": 1, "down": [down]},  # what one VIP's check found
        "web": {"up": 1, "checked": 1, "down": []},
    }
    monkeypatch.setattr("userspace.node.probing.MAX_DOWN", 0)
    assert sent.probing.reported()["vm"] == {"up": 0, "checked": 1, "down": []}


def test_one_gateway_may_fail_a_dsr_vip_and_not_another(sent: Sent) -> None:
    plain = TargetPlan(DSR.address, DSR.port)
    addresses = {DSR: "240.0.0.3", plain: "240.0.0.4"}
    sent.probing.want({"d": (Check(), (DSR,)), "f": (Check(), (plain,))}, addresses)
    row = ["d", "240.0.0.3", 80, "x", ["240.0.0.3:80"], *ROW[5:]]
    sent.probing.checking._received({"type": "health", "rows": [row], "gone": []})
    assert sent.probing.failing == {DSR}


def test_hosts_in_a_vpc_carry_its_vni() -> None:
    assert (host_of(VM), host_of(DSR)) == ("10010/192.168.0.10", "10.1.0.11")


@pytest.fixture
async def real() -> AsyncIterator[Probing]:
    probing = Probing(Settings(), None, lambda: None)
    probing.checking.start()
    yield probing
    await probing.checking.stop()


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.005)


async def test_the_checker_itself_goes_by_it_also_after_it_was_replaced(real: Probing) -> None:
    async with listening(OK) as port:
        up, down = TargetPlan("10.1.0.21", port), TargetPlan("10.1.0.22", closed_port())
        real.want({"v": (Check(interval=1, rise=1, fall=1), (up, down))}, {up: "127.0.0.1", down: "127.0.0.2"})
        await until(lambda: real.failing == {down})
        assert real.checking.verdicts.all_down() == {"vips/v": [f"10.1.0.22:{down.port}"]}
        pid = real.checking.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: real.checking.restarts == 1 and real.checking.pid != pid)
        assert real.failing == {down}
        again = TargetPlan("10.1.0.23", port)
        real.want({"v": (Check(interval=1, rise=1, fall=1), (up, again))}, {up: "127.0.0.1", again: "127.0.0.3"})
        await until(lambda: not real.failing and len(list(real.checking.verdicts)) == 2)
