"""What the control plane says of nodes that are well, slow, gone, or given something that they cannot use."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control.store.base import Put
from control.store.open import open_store
from tests.fault.conftest import WAIT, Site, gateway, node_settings
from tests.ports import unused_port

pytestmark = [pytest.mark.etcd, pytest.mark.alone]


async def node(
    site: Site, id: str, condition: Callable[[dict[str, Any]], bool], within: float = WAIT
) -> dict[str, Any]:
    """What the status says of one node, once `condition` holds."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(within):
        while not (found and condition(found)):
            await asyncio.sleep(0.02)
            status = (await site.api.get("/unilb/status")).json
            found = next((node for node in status["nodes"] if node["id"] == id), {})
    return found


async def test_every_node_shows_the_revision_of_each_worker_soon_after_a_change(site: Site, tmp_path: Path) -> None:
    async with gateway(site.etcd.url, node_settings(tmp_path / "run2", unused_port(), unused_port(), "gw2")):
        answer = await site.api.put("routes/one", site.route("/one"))
        revision = int(answer.headers["X-Unilb-Revision"])
        for id in ("gw", "gw2"):
            # A report comes within a second of the change.
            found = await node(site, id, lambda found: found["revision"] == revision, within=1.5)
            assert (found["state"], found["workers"]) == ("ok", {"0": revision, "1": revision})
            assert found["role"] == "gateway" and found["version"] and found["started"] and not found["held"]
    # It has taken its report back, and there is no object of it: nobody expects it.
    ids = [found["id"] for found in (await site.api.get("/unilb/status")).json["nodes"]]
    assert ids == ["gw"]


async def test_a_worker_that_hangs_shows_as_behind(site: Site) -> None:
    assert site.daemon.supervisor is not None
    process = site.daemon.supervisor.workers[1].process
    assert process is not None
    site.traffic.pause()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for name in ("one", "two"):
            await site.put(name)
        found = await node(site, "gw", lambda found: found["lag"]["changes"] == 2)
        assert found["state"] == "behind" and found["workers"]["0"] > found["workers"]["1"]
        assert found["lag"]["seconds"] > 0
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert (await node(site, "gw", lambda found: found["state"] == "ok"))["lag"]["changes"] == 0
    site.traffic.go_on()


async def test_a_rejected_object_is_named_and_holds_nobody_up(site: Site) -> None:
    store = open_store(site.etcd.url)
    await store.txn([], [Put("/apisix/routes/bad", b'{"uri": 7}')])
    await store.close()
    await site.put("good")
    found = await node(site, "gw", lambda found: found["rejected_count"] == 1)
    assert list(found["rejected"]) == ["/apisix/routes/bad"] and "uri" in found["rejected"]["/apisix/routes/bad"]
    await site.in_force("good")


async def test_a_node_that_dies_falls_silent(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("userspace.node.report.REPORT_TTL", 2)
    monkeypatch.setattr("userspace.node.report.REFRESH_EVERY", 0.5)
    body = {"role": "gateway", "zone": "a", "address": "10.1.0.12", "laddrs": ["198.18.1.2"]}
    await site.api.must_put("/unilb/nodes/gw2", body)
    async with gateway(site.etcd.url, node_settings(tmp_path / "run2", unused_port(), unused_port(), "gw2")) as daemon:
        await node(site, "gw2", lambda found: found["state"] == "ok")
        # As if it were killed: nothing more is written, and nothing is taken back.
        monkeypatch.setattr(daemon.reporter, "_take_back", lambda: asyncio.sleep(0))
        assert daemon._reporting is not None
        daemon._reporting.cancel()
        assert (await node(site, "gw2", lambda found: found["state"] == "silent"))["role"] == "gateway"


async def test_reports_that_cannot_be_written_are_counted(site: Site) -> None:
    site.etcd.kill()
    async with asyncio.timeout(WAIT):
        while site.daemon.reporter.failures == 0:
            await asyncio.sleep(0.05)
    async with site.api.session.get(f"http://127.0.0.1:{site.metrics}/metrics") as answer:
        text = await answer.text()
    assert "unilb_node_report_failures_total" in text and "unilb_node_report_failures_total 0.0" not in text
    await site.back()
    await node(site, "gw", lambda found: found["age_seconds"] < 5)
