"""What gateways say of the endpoints that they check."""

from typing import Any

import pytest

from control.control_api.health import Health
from control.model.keys import REPORTS
from control.store.base import Store
from tests.control.control_api.conftest import Ask, put

CHECKED = {"nodes": {"10.0.0.1:80": 1}, "checks": {"active": {}}}
UP = ([0, 0, 0, 0], "healthy")
DOWN = ([0, 0, 2, 0], "unhealthy")


def report(*rows: tuple[str, str, tuple[list[int], str]], is_left_out: bool = False) -> dict[str, Any]:
    """A gateway's report: (upstream, address, UP or DOWN)."""
    return {
        "health": [[upstream, ip, 80, ip, status, is_left_out] for upstream, ip, (_, status) in rows],
        "health_counters": [counters for _, _, (counters, _) in rows],
    }


def node(ip: str, tcp: int = 0, status: str = "healthy") -> dict[str, Any]:
    counter = {"success": 0, "http_failure": 0, "tcp_failure": tcp, "timeout_failure": 0}
    return {"ip": ip, "port": 80, "hostname": ip, "status": status, "counter": counter}


async def test_every_object_with_checks_is_listed(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/routes/1", {"id": "1", "uri": "/a", "upstream": {**CHECKED, "type": "roundrobin"}})
    await put(store, "/apisix/services/2", {"id": "2", "upstream": {**CHECKED, "checks": {"active": {"type": "tcp"}}}})
    await put(store, "/apisix/upstreams/3", {"id": "3", **CHECKED})
    await put(store, "/apisix/upstreams/4", {"id": "4", "nodes": {}})
    rows = (("routes/1", "10.0.0.1", UP), ("routes/1", "10.0.0.2", DOWN), ("3", "10.0.0.1", UP))
    await put(store, REPORTS + "gw1", report(*rows))
    listed = (await ask("/v1/healthcheck")).json
    assert listed == [
        {
            "name": "/apisix/routes/1",
            "type": "http",
            "nodes": [node("10.0.0.1"), node("10.0.0.2", 2, "unhealthy")],
        },
        {"name": "/apisix/services/2", "type": "tcp", "nodes": []},
        {"name": "/apisix/upstreams/3", "type": "http", "nodes": [node("10.0.0.1")]},
    ]
    for info, path in zip(listed, ("routes/1", "services/2", "upstreams/3"), strict=True):
        assert (await ask(f"/v1/healthcheck/{path}")).json == info


async def test_of_several_gateways_the_worst_word_counts(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/upstreams/3", {"id": "3", **CHECKED})
    await put(store, REPORTS + "gw1", report(("3", "10.0.0.1", UP)))
    await put(store, REPORTS + "gw2", report(("3", "10.0.0.1", DOWN)))
    await put(store, REPORTS + "gw3", report(("3", "10.0.0.1", UP)))
    await put(store, REPORTS + "l4", {"role": "l4"})
    assert (await ask("/v1/healthcheck/upstreams/3")).json["nodes"] == [node("10.0.0.1", 2, "unhealthy")]


async def test_an_endpoint_left_out_for_its_latency_is_marked(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/upstreams/3", {"id": "3", **CHECKED})
    await put(store, REPORTS + "gw1", report(("3", "10.0.0.1", UP), is_left_out=True))
    assert (await ask("/v1/healthcheck/upstreams/3")).json["nodes"] == [{**node("10.0.0.1"), "ejected": True}]


async def test_a_gateway_in_the_same_process_is_asked_itself(store: Store) -> None:
    health = Health(store, lambda: report(("3", "10.0.0.1", DOWN)))
    await put(store, REPORTS + "gw1", report(("3", "10.0.0.1", UP)))
    assert (await health._endpoints())["3"] == [node("10.0.0.1", 2, "unhealthy")]


async def test_nothing_is_checked(ask: Ask) -> None:
    assert (await ask("/v1/healthcheck")).json == []
    assert (await ask("/v1/healthcheck", accept="text/html")).raw.startswith(b"<html")


@pytest.mark.parametrize("path", ["/v1/healthcheck", "/v1/healthcheck/upstreams/3"])
async def test_people_get_a_page(ask: Ask, store: Store, path: str) -> None:
    await put(store, "/apisix/upstreams/3", {"id": "3", **CHECKED})
    await put(store, REPORTS + "gw1", report(("3", "10.0.0.1", UP), ("3", "10.0.0.2", DOWN)))
    text = (await ask(path, accept="text/html,*/*")).raw.decode()
    assert "<h1>APISIX upstream check status</h1>" in text and text.count("<tr") == 3
    assert text.count('bgcolor="#FF0000"') == 1 and "<td>10.0.0.2:80</td>" in text


async def test_an_object_has_no_checker_or_is_not_there(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/routes/1", {"id": "1", "uri": "/a"})
    assert (await ask("/v1/healthcheck/routes/1")).error == "no checker for routes[1]"
    assert (await ask("/v1/healthcheck/routes/2")).error == "routes[2] not found"
    assert (await ask("/v1/healthcheck/routes")).error == "missing src id for src type routes"
    wrong = await ask("/v1/healthcheck/route/1")
    assert (wrong.status, wrong.error) == (400, "invalid src type route")
