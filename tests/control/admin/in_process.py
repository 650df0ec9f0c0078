"""The application without a socket: for tests that ask it thousands of times."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

from control.admin.app import build
from control.admin.audit import AuditLog
from control.admin.auth import AdminKey
from control.admin.sealed import SealedStore
from control.allocate.pool import Pools
from control.model.encryption import Keyring
from control.store.base import Store
from tests.control.admin.conftest import KEY
from tests.control.certificates import pair

CERT, PRIVATE_KEY = pair("a.example")
UPSTREAM = {
    "name": "web",
    "type": "roundrobin",
    "scheme": "http",
    "nodes": [{"host": "127.0.0.1", "port": 80, "weight": 1, "priority": 0}],
    "timeout": {"connect": 1, "send": 2, "read": 3},
    "retries": 1,
    "keepalive_pool": {"size": 8, "idle_timeout": 30, "requests": 100},
}
# One good object of every resource, by the path of its collection, and what it is called there.
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "/unilb/nodes": (
        "gw1",
        {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1"], "port_min": 2048},
    ),
    "/unilb/vips": (
        "v1",
        {"address": "10.100.0.10", "port": 80, "targets": [{"node": "gw1", "port": 80, "weight": 1}]},
    ),
    "/unilb/eips": ("e1", {"address": "203.0.113.80", "vip": "v1"}),
    "/unilb/vpcs": (
        "blue",
        {
            "vni": 10010,
            "cidr": "192.168.0.0/24",
            "mtu": 1450,
            "endpoints": {"192.168.0.10": {"vtep": "10.1.0.31", "mac": "02:00:c0:a8:00:0a"}},
        },
    ),
    "/apisix/admin/upstreams": ("u1", UPSTREAM),
    "/apisix/admin/services": ("s1", {"name": "s", "hosts": ["a.example"], "upstream": UPSTREAM, "labels": {"a": "b"}}),
    "/apisix/admin/services/s1/graphql_cost_decorations": (
        "d1",
        {"field_path": "Query.products", "add_value": 1, "mul_arguments": ["first"], "labels": {"a": "b"}},
    ),
    "/apisix/admin/plugin_configs": ("p1", {"desc": "d", "plugins": {"key-auth": {}}}),
    "/apisix/admin/routes": (
        "r1",
        {
            "uri": "/a",
            "name": "a",
            "host": "a.example",
            "methods": ["GET"],
            "priority": 1,
            "upstream_id": "u1",
            "service_id": "s1",
            "plugin_config_id": "p1",
            "plugins": {"sticky": {"ttl": 60}, "limit-count": {"count": 2, "time_window": 60, "rejected_code": 503}},
            "vars": [["arg_a", "==", "b"]],
            "timeout": {"connect": 1, "send": 1, "read": 1},
        },
    ),
    "/apisix/admin/consumer_groups": ("g1", {"plugins": {"limit-count": {"count": 2, "time_window": 60}}}),
    "/apisix/admin/consumers": (
        "jack",
        {"username": "jack", "group_id": "g1", "desc": "d", "plugins": {"key-auth": {"key": "jacks"}}},
    ),
    "/apisix/admin/consumers/jack/credentials": ("c1", {"name": "n", "plugins": {"key-auth": {"key": "another"}}}),
    "/apisix/admin/ssls": ("c1", {"sni": "a.example", "cert": CERT, "key": PRIVATE_KEY, "ssl_protocols": ["TLSv1.3"]}),
    "/apisix/admin/global_rules": ("x1", {"plugins": {"prometheus": {"prefer_name": True}}}),
    "/apisix/admin/protos": ("q1", {"desc": "d", "content": 'syntax = "proto3"; message A { string a = 1; }'}),
    "/apisix/admin/stream_routes": (
        "t1",
        {"server_port": 9100, "remote_addr": "10.0.0.0/8", "upstream": UPSTREAM, "protocol": {"name": "redis"}},
    ),
    "/apisix/admin/secrets/vault": ("1", {"uri": "http://127.0.0.1:8200", "prefix": "kv/a", "token": "t"}),
    "/apisix/admin/plugin_metadata": ("http-logger", {"log_format": {"host": "$host"}}),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the application answered."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


def application(store: Store, audit: AuditLog) -> ASGIApp:
    """As `unilb control` builds it."""
    keys = (AdminKey("admin", KEY, "admin"),)
    return build(SealedStore(store, Keyring()), keys, audit, Pools())


async def ask(
    app: ASGIApp, method: str, path: str, body: object = None, key: str | None = KEY, headers: Mapping[str, str] = {}
) -> Said:
    """One exchange; `path` may carry a query. The address of the client is no loopback."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    plain, _, query = path.partition("?")
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    if key is not None:
        sent.append((b"x-api-key", key.encode()))
    scope = {
        **{"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "root_path": ""},
        **{"path": plain, "raw_path": plain.encode(), "query_string": query.encode(), "headers": sent},
        **{"client": ("203.0.113.9", 1), "server": ("127.0.0.1", 9180)},
    }
    got: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Message) -> None:
        got.append(message)

    await app(scope, receive, send)
    told = {name.decode().lower(): value.decode() for name, value in got[0]["headers"]}
    return Said(got[0]["status"], told, b"".join(message.get("body", b"") for message in got[1:]))


async def put_all(app: ASGIApp) -> None:
    """Store every example."""
    for collection, (id, doc) in EXAMPLES.items():
        said = await ask(app, "PUT", f"{collection}/{id}", doc)
        assert said.status in (200, 201), (collection, said.raw)
