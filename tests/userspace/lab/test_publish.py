"""userspace/lab/publish.py: the objects, and what happens when they are refused."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from control.model.node import Node
from control.model.vip import Vip
from control.model.vpc import Vpc
from userspace.lab import exec as lab_exec
from userspace.lab.apply import LabError
from userspace.lab.lab import Lab
from userspace.lab.publish import ADMIN_PORT, objects, publish
from userspace.lab.topology import Topology
from userspace.lab.up import up

PATHS = [f"/unilb/nodes/{n}" for n in ("l4", "gw1", "gw2")] + [
    "/unilb/vpcs/blue",
    "/unilb/vpcs/green",
    "/unilb/vpcs/six",
    "/unilb/vips/public",
]


def test_what_is_referred_to_comes_first(region: Topology) -> None:
    assert [path for path, _ in objects(region)] == PATHS


def test_the_objects_are_the_documented_ones(region: Topology) -> None:
    found = dict(objects(region))
    assert found["/unilb/nodes/gw1"] == {
        "role": "gateway",
        "zone": "a",
        "address": "10.1.0.11",
        "laddrs": ["198.18.1.1", "198.18.1.2", "fd18:1::1"],
    }
    assert found["/unilb/vpcs/green"] == {
        "vni": 10020,
        "cidr": "192.168.0.0/24",
        "mtu": 1450,
        "endpoints": {
            "192.168.0.10": {"vtep": "10.1.0.31", "mac": "02:00:c0:a8:00:0a"},
            "192.168.0.11": {"vtep": "10.2.0.32", "mac": "02:00:c0:a8:00:0b"},
        },
    }
    assert found["/unilb/vpcs/six"]["endpoints"] == {
        "fd00:a::10": {"vtep": "10.1.0.31", "mac": "02:00:00:00:00:10"},
        "fd00:a::11": {"vtep": "10.2.0.32", "mac": "02:00:00:00:00:11"},
    }
    assert found["/unilb/vips/public"] == {
        "address": "10.100.0.10",
        "port": 80,
        "protocol": "tcp",
        "targets": [{"node": "gw1", "port": 80}, {"node": "gw2", "port": 80}],
    }


def test_over_an_underlay_of_ipv6_nodes_and_vteps_have_their_addresses_there(region6: Topology) -> None:
    found = dict(objects(region6))
    assert found["/unilb/nodes/gw1"]["address6"] == "fd10:1::11"
    assert "address6" not in found["/unilb/nodes/l4"]
    vteps = {ip: endpoint["vtep"] for ip, endpoint in found["/unilb/vpcs/six"]["endpoints"].items()}
    assert vteps == {"fd00:a::10": "fd10:1::31", "fd00:a::11": "fd10:2::32"}
    assert found["/unilb/vpcs/blue"] == dict(objects(region6))["/unilb/vpcs/blue"]


def test_the_control_planes_model_takes_every_object(region: Topology) -> None:
    models: dict[str, Any] = {"nodes": Node, "vpcs": Vpc, "vips": Vip}
    for path, body in objects(region):
        _, _, kind, name = path.split("/")
        assert models[kind].from_json(body, name).id == name


@contextmanager
def admin_api(lab: Lab, status: int, answer: str) -> Iterator[list[tuple[str, str, object]]]:
    """Stands where the Admin API stands; yields what it was sent: (path, key, body)."""
    seen: list[tuple[str, str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["X-API-KEY"], json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    address = (str(lab.topology.control.address), ADMIN_PORT)
    with HTTPServer(address, Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = lab_exec.open_socket(lab, lab.topology.control.name)
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.socket.bind(address)
        server.server_activate()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield seen
        server.shutdown()
        thread.join()


@pytest.mark.netns
def test_publish_puts_every_object_with_the_labs_key(fabric: Lab) -> None:
    with admin_api(fabric, 201, "{}") as seen:
        publish(fabric)
    assert [path for path, _, _ in seen] == PATHS
    assert {key for _, key, _ in seen} == {fabric.admin_key.read_text()}
    assert [body for _, _, body in seen] == [body for _, body in objects(fabric.topology)]


@pytest.mark.netns
def test_a_refused_object_is_named_with_the_answer(fabric: Lab) -> None:
    with admin_api(fabric, 400, '{"error_msg": "vni is taken"}'), pytest.raises(LabError) as refused:
        publish(fabric)
    assert str(refused.value) == 'PUT /unilb/nodes/l4: 400 {"error_msg": "vni is taken"}'


@pytest.mark.netns
def test_an_admin_api_that_is_not_there_is_an_error_of_the_lab(lab: Lab) -> None:
    up(lab, only=())
    with pytest.raises(LabError, match="PUT /unilb/nodes/l4: the Admin API does not answer: .*refused"):
        publish(lab)
