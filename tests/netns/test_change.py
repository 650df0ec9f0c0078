"""Configuration while it is in use: in force everywhere, refused whole, or rejected by name with the last one kept."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.netns.observe import eventually, health, kept
from tests.said import SAID
from userspace.lab import demo
from userspace.lab.capture import captured, frames, tunnelled
from userspace.lab.exec import run
from userspace.lab.lab import Lab
from userspace.lab.propagation import measure
from userspace.lab.publish import admin, objects
from userspace.lab.services import ETCD_PORT

pytestmark = pytest.mark.netns
GATEWAYS = ("gw1", "gw2")


def etcd(lab: Lab, call: str, body: dict[str, Any]) -> Any:
    """Speak to etcd's JSON gateway, past the Admin API."""
    url = f"http://{lab.topology.control.address}:{ETCD_PORT}/v3/kv/{call}"
    done = run(lab, lab.topology.control.name, ["curl", "-sf", url, "-d", json.dumps(body)])
    return json.loads(done.stdout)


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def store_past_the_api(lab: Lab, key: str, value: str) -> None:
    etcd(lab, "put", {"key": coded(key), "value": coded(value)})


def stored(lab: Lab, key: str) -> str:
    (found,) = etcd(lab, "range", {"key": coded(key)})["kvs"]
    return base64.b64decode(found["value"]).decode()


def statuses(lab: Lab, host: str, target: str = "/who") -> set[tuple[int, str]]:
    """(status, machine) of requests straight to each gateway, enough for each of its workers to have had one."""
    found = set()
    for gateway in lab.topology.of_role("gateway"):
        for _ in range(6):
            with kept(lab, str(gateway.address)) as connection:
                connection.request("GET", target, headers={"Host": host})
                response = connection.getresponse()
                body = response.read()
                found.add((response.status, json.loads(body)["machine"] if response.status == 200 else ""))
    return found


def asked(lab: Lab, cookie: str | None) -> tuple[str, str]:
    """(machine that answered, cookie that it came with) of one request for blue on gw1."""
    with kept(lab, "10.1.0.11") as connection:
        connection.request("GET", "/who", headers={"Host": "blue.example.com"} | ({"Cookie": cookie} if cookie else {}))
        response = connection.getresponse()
        return json.loads(response.read())["machine"], (response.getheader("Set-Cookie") or "").partition(";")[0]


BLUE = {(200, "blue1"), (200, "blue2")}


def test_a_changed_route_is_in_force_on_every_worker_of_both_gateways(lab: Lab) -> None:
    found = measure(lab, 50, demo.WORKERS)
    assert found.workers == 2 * demo.WORKERS
    assert len(found.samples) == 50
    SAID.append(demo.describe(found))


def test_a_deleted_route_is_gone_from_every_worker_and_the_next_best_serves(lab: Lab) -> None:
    route = {"host": "blue.example.com", "uri": "/special/*", "upstream_id": "green"}
    assert admin(lab, "PUT", "/apisix/admin/routes/special", route).status == 201
    green = {(200, "green1"), (200, "green2")}
    eventually("green serves it", lambda: statuses(lab, "blue.example.com", "/special/x") == green)
    assert statuses(lab, "blue.example.com") == BLUE
    assert admin(lab, "DELETE", "/apisix/admin/routes/special").status == 200
    eventually("blue serves it again", lambda: statuses(lab, "blue.example.com", "/special/x") == BLUE)


@pytest.fixture
def restored(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A store key whose value is put back afterwards, and no object is rejected then."""
    key = str(request.param)
    before = stored(lab, key)
    yield key
    store_past_the_api(lab, key, before)
    eventually("nothing is rejected", lambda: [health(lab, gw)["rejected"] for gw in GATEWAYS] == [{}, {}])


@pytest.mark.parametrize("restored", ["/apisix/routes/blue"], indirect=True)
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"uri": 7, "host": "blue.example.com", "upstream_id": "green"}, "uri"),
        ({"uri": "/*", "host": "blue.example.com", "upstream_id": "nobody"}, "nobody"),
        ({"uri": "/*", "host": "blue.example.com", "upstream_id": "green", "plugins": {"magic": {}}}, "magic"),
        ({"uri": "/*", "host": "blue.example.com", "upstream_id": "green", "priority": "high"}, "priority"),
        ({"uri": "/*", "host": "blue.example.com", "surprise": 1}, "surprise"),
        ({"host": "blue.example.com", "upstream_id": "green"}, "matches none"),
    ],
)
def test_an_invalid_route_is_refused_and_nothing_changes(
    lab: Lab, restored: str, body: dict[str, Any], named: str
) -> None:
    before, revision = stored(lab, restored), health(lab, "gw1")["revision"]
    reply = admin(lab, "PUT", "/apisix/admin/routes/blue", body)
    assert reply.status == 400
    assert named in reply.json()["error_msg"]
    assert stored(lab, restored) == before
    assert health(lab, "gw1")["revision"] == revision
    assert statuses(lab, "blue.example.com") == BLUE


@pytest.mark.parametrize(
    "restored",
    ["/apisix/routes/blue", "/apisix/upstreams/blue", "/unilb/vpcs/blue", "/unilb/nodes/gw1", "/unilb/keys/sticky"],
    indirect=True,
)
@pytest.mark.parametrize("broken", ["{", '{"id": 7, "surprise": []}'], ids=["no JSON", "no such object"])
def test_a_broken_object_in_the_store_is_named_and_its_last_good_version_serves(
    lab: Lab, restored: str, broken: str
) -> None:
    machine, cookie = asked(lab, None)
    store_past_the_api(lab, restored, broken)
    for gateway in GATEWAYS:
        why = eventually(f"{gateway} names {restored}", lambda gw=gateway: health(lab, gw)["rejected"].get(restored))
        assert isinstance(why, str)
        assert health(lab, gateway)["ready"]
    assert statuses(lab, "blue.example.com") == BLUE
    assert {asked(lab, cookie)[0] for _ in range(3)} == {machine}
    assert admin(lab, "PUT", "/apisix/admin/routes/other", {"uri": "/other", "upstream_id": "green"}).status == 201
    green = {(200, "green1"), (200, "green2")}
    eventually("other objects still change", lambda: statuses(lab, "other.example.com", "/other") == green)
    assert admin(lab, "DELETE", "/apisix/admin/routes/other").status == 200


@pytest.fixture
def second_address(lab: Lab) -> Iterator[dict[str, Any]]:
    """blue2 can be asked under blue1's address too; yields the VPC's body as it was published."""
    (body,) = (body for path, body in objects(lab.topology) if path == "/unilb/vpcs/blue")
    run(lab, "blue2", ["ip", "address", "add", "192.168.0.10/32", "dev", "eth0"])
    yield body
    assert admin(lab, "PUT", "/unilb/vpcs/blue", body).status == 200
    run(lab, "blue2", ["ip", "address", "del", "192.168.0.10/32", "dev", "eth0"])
    eventually("both endpoints answer again", lambda: statuses(lab, "blue.example.com") == BLUE)


def unique_ips(lab: Lab) -> dict[str, str]:
    return {ip: e["unique_ip"] for ip, e in json.loads(stored(lab, "/unilb/vpcs/blue"))["endpoints"].items()}


def test_an_endpoint_moves_to_another_host_by_one_put_of_its_vpc(
    lab: Lab, second_address: dict[str, Any], tmp_path: Path
) -> None:
    endpoints = second_address["endpoints"]
    moved = {**second_address, "endpoints": {**endpoints, "192.168.0.10": endpoints["192.168.0.11"]}}
    before = unique_ips(lab)
    with captured(lab, "host2", tmp_path / "host2"), captured(lab, "host1", tmp_path / "host1"):
        assert statuses(lab, "blue.example.com") == BLUE
        assert admin(lab, "PUT", "/unilb/vpcs/blue", moved).status == 200
        eventually("only blue2 answers", lambda: statuses(lab, "blue.example.com") == {(200, "blue2")})
    assert unique_ips(lab) == before  # whoever knew the endpoint knows it still
    with captured(lab, "host2", tmp_path / "later2"), captured(lab, "host1", tmp_path / "later1"):
        assert statuses(lab, "blue.example.com") == {(200, "blue2")}
    sent = [packet.inner_destination for frame in frames(tmp_path / "later2") if (packet := tunnelled(frame))]
    assert {"192.168.0.10", "192.168.0.11"} <= set(sent)
    late = [packet for frame in frames(tmp_path / "later1") if (packet := tunnelled(frame))]
    assert [packet for packet in late if packet.inner_destination == "192.168.0.10" and packet.vni == 10010] == []
