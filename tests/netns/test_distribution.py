"""Every machine of the region tells the control plane how far it is."""

import time
from typing import Any

import pytest

from userspace.lab.lab import Lab
from userspace.lab.publish import admin

pytestmark = pytest.mark.netns

ROUTE = {"uri": "/distribution", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:9": 1}}}


def nodes(lab: Lab) -> dict[str, dict[str, Any]]:
    reply = admin(lab, "GET", "/unilb/status")
    assert reply.status == 200
    return {node["id"]: node for node in reply.json()["nodes"]}


def in_force(node: dict[str, Any], revision: int) -> bool:
    served = [node.get("revision", 0), *node.get("workers", {}).values()]
    return node["state"] == "ok" and min(served) >= revision


def test_a_change_shows_in_the_report_of_every_node_within_two_seconds(lab: Lab) -> None:
    names = {machine.name for machine in lab.topology.of_role("gateway", "l4")}
    reply = admin(lab, "PUT", "/apisix/admin/routes/distribution", ROUTE)
    revision = int(reply.headers["x-unilb-revision"])
    try:
        deadline = time.monotonic() + 2
        while True:
            found = nodes(lab)
            # A report may have been made between a node's taking the change and its workers' doing so: "behind".
            if all(name in found and in_force(found[name], revision) for name in names):
                break
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        assert {found[name]["role"] for name in names} == {"gateway", "l4"}
    finally:
        admin(lab, "DELETE", "/apisix/admin/routes/distribution")
