"""Routes of the region that may be spliced, and connections that are."""

import contextlib
import http.client
from collections.abc import Iterator

from tests.netns.observe import eventually, kept, metrics
from userspace.lab.lab import Lab
from userspace.lab.publish import admin

GW1 = "10.1.0.11"
WAYS = ("classic", "blue")
EMPTY = {"type": "roundrobin", "nodes": {}}


def put(lab: Lab, path: str, body: object) -> None:
    reply = admin(lab, "PUT", path, body)
    assert reply.status in (200, 201), reply.body


def publish(lab: Lab, *names: str) -> None:
    """Have both ways be spliced, or the upstreams of these names; /forbidden is refused on all."""
    for name in names or WAYS:
        host = f"{name}.example.com"
        put(lab, f"/apisix/admin/routes/{name}", {"host": host, "uri": "/*", "upstream_id": name, "splice": "auto"})
        refused = {"host": host, "uri": "/forbidden*", "upstream": EMPTY, "splice": "auto", "priority": 9}
        put(lab, f"/apisix/admin/routes/{name}-forbidden", refused)


def spliced_requests(lab: Lab) -> float:
    """Requests that gw1's kernel has carried."""
    return sum(n for name, n in metrics(lab, "gw1").items() if name.startswith("unilb_splice_requests_total"))


def made(lab: Lab) -> float:
    return sum(n for name, n in metrics(lab, "gw1").items() if name.startswith("unilb_splices_made_total"))


def get(connection: http.client.HTTPConnection, name: str, target: str = "/who") -> tuple[int, bytes]:
    connection.request("GET", target, headers={"Host": f"{name}.example.com"})
    response = connection.getresponse()
    return response.status, response.read()


@contextlib.contextmanager
def spliced(lab: Lab, name: str) -> Iterator[http.client.HTTPConnection]:
    """A connection to gw1 that the kernel carries."""
    before = made(lab)
    with kept(lab, GW1) as connection:
        for _ in range(3):
            assert get(connection, name)[0] == 200
        eventually("the connection is spliced", lambda: made(lab) > before)
        yield connection
