"""Routes of the region that may be spliced."""

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
