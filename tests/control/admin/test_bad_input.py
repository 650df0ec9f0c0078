"""Bad input: always 400, always naming what is wrong, and nothing is stored."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from control.store.base import Store
from control.store.open import open_store
from tests.control.admin.conftest import Client, running

# One server for all rows: each of them checks that it has left no trace.
pytestmark = pytest.mark.asyncio(loop_scope="module")

NODES = {"127.0.0.1:8080": 1}
UPSTREAM = {"nodes": NODES, "type": "roundrobin"}
ROUTE = {"uri": "/a", "upstream": UPSTREAM}
MAC = "02:00:c0:a8:00:0a"
PLACE = {"vtep": "10.1.0.31", "mac": MAC}
VPC = {"vni": 10010, "cidr": "192.168.0.0/24", "endpoints": {"192.168.0.10": PLACE}}
NODE = {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1"]}
VIP = {"address": "10.100.0.10", "port": 80, "targets": [{"node": "gw1", "port": 80}]}
LONG = "x" * 257


def variants(base: dict[str, Any], rows: list[tuple[str, Any, str]]) -> list[Any]:
    """(field, bad value, what the error says) -> cases that differ from a good object in one field.

    `...` as the value: the field is missing.
    """
    cases = []
    for field, value, says in rows:
        doc = {name: item for name, item in base.items() if name != field}
        if value is not ...:
            doc[field] = value
        shown = "missing" if value is ... else json.dumps(value)
        cases.append(pytest.param(doc, says, id=f"{field}={shown[:60]}"))
    return cases


def in_node(**fields: Any) -> list[dict[str, Any]]:
    return [{"host": "127.0.0.1", "port": 80, "weight": 1, **fields}]


COMMON_ROWS: list[tuple[str, Any, str]] = [
    ("id", -1, 'property "id" validation failed'),
    ("name", "", 'property "name" validation failed: string too short, expected at least 1, got 0'),
    ("name", LONG, 'property "name" validation failed: string too long, expected at most 256, got 257'),
    ("name", 1, 'property "name" validation failed: wrong type: expected string, got number'),
    ("name", None, 'property "name" validation failed: wrong type: expected string, got userdata'),
    ("desc", LONG, 'property "desc" validation failed: string too long'),
    ("desc", [], 'property "desc" validation failed: wrong type: expected string, got table'),
    ("labels", "x", 'property "labels" validation failed: wrong type: expected object, got string'),
    ("labels", {"env": ["a"]}, 'failed to validate env (matching ".*"): wrong type: expected string, got table'),
    ("labels", {"env": ""}, "failed to validate env"),
    ("labels", {"env": "a b"}, 'failed to validate env (matching ".*"): failed to match pattern "^\\\\S+$"'),
    ("labels", {"env": LONG}, "failed to validate env"),
    ("surprise", 1, "additional properties forbidden, found surprise"),
    ("create_time", 1, "the property is forbidden:  create_time"),
    ("update_time", 1, "the property is forbidden:  update_time"),
]

ROUTE_ROWS: list[tuple[str, Any, str]] = [
    ("uri", ..., "allOf 1 failed: value should match only one schema, but matches none"),
    ("uris", ["/b"], "allOf 1 failed: value should match only one schema, but matches both schemas 1 and 2"),
    ("uri", "", 'property "uri" validation failed: string too short'),
    ("uri", "/" * 4097, 'property "uri" validation failed: string too long, expected at most 4096, got 4097'),
    ("uri", 1, 'property "uri" validation failed: wrong type: expected string, got number'),
    ("uri", ["/a"], 'property "uri" validation failed: wrong type: expected string, got table'),
    ("host", "a b", 'property "host" validation failed: failed to match pattern'),
    ("host", "", 'property "host" validation failed: failed to match pattern'),
    ("host", "a.*.b", 'property "host" validation failed: failed to match pattern'),
    ("host", "foo.com\n", 'property "host" validation failed: failed to match pattern'),
    ("host", 7, 'property "host" validation failed: wrong type: expected string, got number'),
    ("hosts", [], 'property "hosts" validation failed: expect array to have at least 1 items'),
    ("hosts", ["a", "a"], 'property "hosts" validation failed: expected unique items but items 1 and 2 are equal'),
    ("hosts", ["a", "b/c"], 'property "hosts" validation failed: failed to validate item 2: failed to match pattern'),
    ("hosts", "a", 'property "hosts" validation failed: wrong type: expected array, got string'),
    ("methods", ["get"], 'property "methods" validation failed: failed to validate item 1: matches none of the enum'),
    ("methods", ["GET", "GET"], 'property "methods" validation failed: expected unique items'),
    ("methods", "GET", 'property "methods" validation failed: wrong type: expected array, got string'),
    ("methods", {"1": "GET"}, 'property "methods" validation failed: wrong type: expected array, got table'),
    ("priority", 1.5, 'property "priority" validation failed: wrong type: expected integer, got number'),
    ("priority", "1", 'property "priority" validation failed: wrong type: expected integer, got string'),
    ("priority", 2**60, 'property "priority" validation failed: expected 1152921504606846976 to be at most'),
    ("status", 2, 'property "status" validation failed: matches none of the enum values'),
    ("status", True, 'property "status" validation failed: wrong type: expected integer, got boolean'),
    ("timeout", 5, 'property "timeout" validation failed: wrong type: expected object, got number'),
    ("timeout", {"connect": 1, "send": 1}, 'property "timeout" validation failed: property "read" is required'),
    (
        "timeout",
        {"connect": 0, "send": 1, "read": 1},
        'property "timeout" validation failed: property "connect" validation failed: expected 0 to be greater than 0',
    ),
    ("timeout", {"connect": 1, "send": 1e9, "read": 1}, 'property "send" validation failed: expected 1000000000 to be'),
    ("upstream_id", "a b", 'property "upstream_id" validation failed: object matches none of the required'),
    ("upstream_id", 0, 'property "upstream_id" validation failed: object matches none of the required'),
    ("upstream_id", "nowhere", "failed to fetch upstream info by upstream id [nowhere], response code: 404"),
    ("upstream_id", 404, "failed to fetch upstream info by upstream id [404], response code: 404"),
    ("upstream", ..., 'object matches none of the required: ["plugins","uri"] or ["upstream","uri"]'),
    ("upstream", {}, 'property "upstream" validation failed: value should match only one schema, but matches none'),
    ("upstream", [], 'property "upstream" validation failed: wrong type: expected object, got table'),
    (
        "upstream",
        {**UPSTREAM, "x": 1},
        'property "upstream" validation failed: additional properties forbidden, found x',
    ),
    ("upstream", {**UPSTREAM, "create_time": 1}, "the property is forbidden:  upstream.create_time"),
    ("upstream", {**UPSTREAM, "vpc_id": "nowhere"}, "failed to fetch vpc info by vpc id [nowhere]"),
    ("plugins", [], 'property "plugins" validation failed: wrong type: expected object, got table'),
    ("plugins", {"no-such": {}}, "unknown plugin [no-such]"),
    ("plugins", {"sticky": 1}, 'invalid plugin conf "1" for plugin [sticky]'),
    (
        "plugins",
        {"sticky": {"ttl": 0}},
        'failed to check the configuration of plugin sticky err: property "ttl" validation failed: expected 0 to be at',
    ),
    ("plugins", {"sticky": {"ttl": None}}, 'plugin sticky err: property "ttl" validation failed: wrong type'),
    ("plugins", {"sticky": {"cookie": "a b"}}, 'plugin sticky err: property "cookie" validation failed'),
    ("plugins", {"sticky": {"cookie": "a\r\nSet-Cookie: b"}}, 'plugin sticky err: property "cookie" validation failed'),
    ("plugins", {"sticky": {"cookie": ""}}, 'plugin sticky err: property "cookie" validation failed'),
    ("plugins", {"sticky": {"path": "a"}}, 'plugin sticky err: property "path" validation failed'),
    ("plugins", {"sticky": {"path": "/; Domain=x"}}, 'plugin sticky err: property "path" validation failed'),
    ("plugins", {"sticky": {"secure": 1}}, 'plugin sticky err: property "secure" validation failed: wrong type'),
    ("plugins", {"sticky": {"http_only": "yes"}}, 'plugin sticky err: property "http_only" validation failed'),
    ("plugins", {"sticky": {"same_site": "lax"}}, 'plugin sticky err: property "same_site" validation failed'),
    (
        "plugins",
        {"sticky": {"same_site": "None"}},
        'plugin sticky err: property "same_site" validation failed: None needs',
    ),
    ("plugins", {"sticky": {"mode": "x"}}, 'plugin sticky err: property "mode" validation failed: matches none of'),
    ("plugins", {"sticky": {"mode": "header"}}, 'plugin sticky err: property "header" is required when "mode" is "hea'),
    (
        "plugins",
        {"sticky": {"mode": "tls_session", "ttl": 5}},
        'property "ttl" validation failed: mode "tls_session" d',
    ),
    ("plugins", {"sticky": {"domain": "a;b"}}, 'plugin sticky err: property "domain" validation failed'),
    ("plugins", {"sticky": {"when_down": "keep"}}, 'plugin sticky err: property "when_down" validation failed'),
    ("plugins", {"sticky": {"x": 1}}, "plugin sticky err: additional properties forbidden, found x"),
    ("plugins", {"sticky": {"_meta": {"disable": 1}}}, 'property "disable" validation failed: wrong type'),
    ("plugins", {"sticky": {"_meta": {"filters": []}}}, "additional properties forbidden, found filters"),
    ("vars", {}, 'property "vars" validation failed: wrong type: expected array, got table'),
    ("service_id", "a$", 'property "service_id" validation failed: object matches none of the required'),
    ("vars", ["arg_a", "==", "b"], "failed to validate the 'vars' expression: rule should be wrapped inside brackets"),
    ("vars", [["arg_a", "*=", "b"]], "failed to validate the 'vars' expression: invalid operator '*='"),
    ("vars", [["arg_a"]], "failed to validate the 'vars' expression: invalid expression"),
    ("vars", ["OR", ["arg_a", "b"]], "failed to validate the 'vars' expression: rule too short"),
    ("service_id", "1", "failed to fetch service info by service id [1], response code: 404"),
    ("plugin_config_id", 1, "failed to fetch plugin config info by plugin config id [1], response code: 404"),
    ("script", "return 1234", "'script' should be a Lua object"),
    ("script", "local _M = {}", "'script' should be a Lua object"),
    ("script", "return function(", "failed to load 'script' string: "),
    ("script", "x", 'property "script" validation failed: string too short'),
    ("script_id", "a$", 'property "script_id" validation failed: object matches none of the required'),
    ("filter_func", "function(vars) return true", "failed to load 'filter_func' string: 'end' expected near '<eof>'"),
    (
        "filter_func",
        "function(v) return 1 end end",
        "failed to load 'filter_func' string: unexpected symbol near 'end'",
    ),
    ("filter_func", "function() end ()", "'filter_func' should be a function"),
    ("remote_addr", "10.0.0.300", 'property "remote_addr" validation failed: object matches none of the required'),
    ("remote_addr", "", 'property "remote_addr" validation failed: object matches none of the required'),
    ("remote_addrs", [], 'property "remote_addrs" validation failed: expect array to have at least 1 items'),
    ("remote_addrs", ["::1", "a"], 'property "remote_addrs" validation failed: failed to validate item 2: object'),
    ("filter_func", "x", 'property "filter_func" validation failed: string too short'),
    ("enable_websocket", 0, 'property "enable_websocket" validation failed: wrong type: expected boolean, got number'),
    ("splice", "always", 'property "splice" validation failed: matches none of the enum values'),
    ("splice", True, 'property "splice" validation failed: wrong type: expected string, got boolean'),
]

UPSTREAM_ROWS: list[tuple[str, Any, str]] = [
    ("nodes", ..., "value should match only one schema, but matches none"),
    ("nodes", "127.0.0.1:80", 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", None, 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", {"127.0.0.1:80": -1}, 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", {"127.0.0.1:80": "1"}, 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", {"127.0.0.1:80": 1.5}, 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", {"127.0.0.1:80": 2**31}, 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", {"127.0.0.1:0": 1}, "invalid port 0"),
    ("nodes", {"127.0.0.1:65536": 1}, "invalid port 65536"),
    ("nodes", {"127.0.0.1:" + "9" * 400: 1}, "invalid port 9999"),
    ("nodes", {"127.0.0.1:http": 1}, 'property "nodes" validation failed: "127.0.0.1:http" is not host:port'),
    ("nodes", {"": 1}, 'property "nodes" validation failed: "" is not host:port'),
    ("nodes", {":80": 1}, 'property "nodes" validation failed: ":80" is not host:port'),
    ("nodes", {"::1": 1}, "IPv6 address must be enclosed with '[' and ']'"),
    ("nodes", {"[::1": 1}, "IPv6 address must be enclosed with '[' and ']'"),
    ("nodes", {"[zz]:80": 1}, 'property "nodes" validation failed: property "host" validation failed'),
    ("nodes", {"256.1.1.1:80": 1}, 'property "host" validation failed: "256.1.1.1" is not an IP address'),
    ("nodes", {"10.1:80": 1}, 'property "host" validation failed: "10.1" is not an IP address'),
    ("nodes", {"a b:80": 1}, 'property "host" validation failed: "a b" is neither'),
    ("nodes", {"a..b:80": 1}, 'property "host" validation failed: "a..b" is neither'),
    ("nodes", {"-a:80": 1}, 'property "host" validation failed: "-a" is neither'),
    ("nodes", {"a.b/c:80": 1}, 'property "host" validation failed: "a.b/c" is neither'),
    ("nodes", {"127.0.0.1": 1, "127.0.0.1:80": 1}, 'property "nodes" validation failed: 127.0.0.1:80 is listed twice'),
    ("nodes", in_node() * 2, 'property "nodes" validation failed: 127.0.0.1:80 is listed twice'),
    ("nodes", in_node(host="*"), 'property "host" validation failed: "*" is neither'),
    ("nodes", in_node(host="::1"), "IPv6 address must be enclosed with '[' and ']'"),
    ("nodes", in_node(host=""), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(port=0), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(port="80"), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(weight=-1), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(weight=True), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(priority=2**40), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(metadata=1), 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", in_node(metadata={"vpc_id": "b"}), 'property "metadata" validation failed: "vpc_id" and "vpc_ip" go'),
    (
        "nodes",
        in_node(metadata={"vpc_id": "b", "vpc_ip": 1}),
        'property "metadata" validation failed: property "vpc_ip"',
    ),
    ("nodes", in_node(metadata={"vpc_id": [], "vpc_ip": "1.2.3.4"}), 'property "metadata" validation failed'),
    ("nodes", [{"host": "127.0.0.1"}], 'property "nodes" validation failed: object matches none of the required'),
    ("nodes", [1], 'property "nodes" validation failed: object matches none of the required'),
    ("type", "chash", "missing key"),
    ("checks", {}, 'property "checks" validation failed: object matches none of the required: ["active"]'),
    ("checks", {"passive": {}}, 'property "checks" validation failed: object matches none of the required: ["active"]'),
    ("checks", {"active": {"type": "ping"}}, 'property "type" validation failed: matches none of the enum values'),
    (
        "checks",
        {"active": {"healthy": {"interval": 0}}},
        'property "checks" validation failed: property "active" validation failed: property "healthy" validation'
        ' failed: property "interval" validation failed: expected 0 to be at least 1',
    ),
    ("checks", {"active": {"healthy": {"successes": 255}}}, "expected 255 to be at most 254"),
    ("checks", {"active": {"unhealthy": {"http_statuses": [199]}}}, "failed to validate item 1: expected 199 to be at"),
    ("checks", {"active": {"unhealthy": {"http_statuses": [500, 500]}}}, "expected unique items"),
    ("checks", {"active": {"port": 0}}, 'property "port" validation failed: expected 0 to be at least 1'),
    ("checks", {"active": {"req_headers": []}}, "expect array to have at least 1 items"),
    ("checks", {"active": {}, "passive": {"unhealthy": {"timeouts": -1}}}, "expected -1 to be at least 0"),
    ("key", 1, 'property "key" validation failed: wrong type: expected string, got number'),
    ("tls", [], 'property "tls" validation failed: wrong type: expected object, got table'),
    ("tls", {"client_cert": "x" * 128}, 'property "tls" validation failed: failed to validate dependent schema for'),
    (
        "tls",
        {"client_cert": "x" * 128, "client_key": "y" * 64},
        "failed to parse cert: PEM_read_bio_X509_AUX() failed",
    ),
    ("tls", {"client_cert_id": "none"}, "failed to fetch ssl info by ssl id [none], response code: 404"),
    ("discovery_type", 1, 'property "discovery_type" validation failed: wrong type: expected string, got number'),
    ("discovery_args", {"group_name": 1}, 'property "discovery_args" validation failed: property "group_name"'),
    ("vpc_id", "nowhere", "failed to fetch vpc info by vpc id [nowhere], response code: 404"),
    ("vpc_id", "a b", 'property "vpc_id" validation failed: object matches none of the required'),
    ("vpc_id", None, 'property "vpc_id" validation failed: object matches none of the required'),
    ("type", 1, 'property "type" validation failed: wrong type: expected string, got number'),
    ("scheme", "ftp", 'property "scheme" validation failed: matches none of the enum values'),
    ("pass_host", "none", 'property "pass_host" validation failed: matches none of the enum values'),
    ("pass_host", "rewrite", "`upstream_host` can't be empty when `pass_host` is `rewrite`"),
    ("upstream_host", "a b", 'property "upstream_host" validation failed: failed to match pattern'),
    ("upstream_host", "a\r\nX: y", 'property "upstream_host" validation failed: failed to match pattern'),
    ("retries", -1, 'property "retries" validation failed: expected -1 to be at least 0'),
    ("retries", 0.5, 'property "retries" validation failed: wrong type: expected integer, got number'),
    ("retry_timeout", -0.5, 'property "retry_timeout" validation failed: expected -0.5 to be at least 0'),
    ("retry_timeout", "1", 'property "retry_timeout" validation failed: wrong type: expected number, got string'),
    ("timeout", {}, 'property "timeout" validation failed: property "connect" is required'),
    ("keepalive_pool", {"size": 0}, 'property "keepalive_pool" validation failed: property "size" validation failed'),
    ("keepalive_pool", {"idle_timeout": -1}, 'property "idle_timeout" validation failed: expected -1 to be at least 0'),
    ("keepalive_pool", {"requests": 0}, 'property "requests" validation failed: expected 0 to be at least 1'),
    ("keepalive_pool", [], 'property "keepalive_pool" validation failed: wrong type: expected object, got table'),
    ("hash_on", "moon", 'property "hash_on" validation failed: matches none of the enum values'),
]

VPC_ROWS: list[tuple[str, Any, str]] = [
    ("vni", ..., 'property "vni" is required'),
    ("vni", 0, 'property "vni" validation failed: expected 0 to be at least 1'),
    ("vni", 2**24, 'property "vni" validation failed: expected 16777216 to be at most 16777215'),
    ("vni", "1", 'property "vni" validation failed: wrong type: expected integer, got string'),
    ("cidr", ..., 'property "cidr" is required'),
    ("cidr", "192.168.0.1/24", 'property "cidr" validation failed: "192.168.0.1/24" is not an IP network'),
    ("cidr", "192.168.0.0/33", 'property "cidr" validation failed'),
    ("cidr", "fd00::1/64", 'property "cidr" validation failed: "fd00::1/64" is not an IP network'),
    ("cidr", 1, 'property "cidr" validation failed: wrong type: expected string, got number'),
    ("mtu", 575, 'property "mtu" validation failed: expected 575 to be at least 576'),
    ("mtu", 9000, 'property "mtu" validation failed: expected 9000 to be at most 8950'),
    ("endpoints", [], 'property "endpoints" validation failed: wrong type: expected object, got table'),
    ("endpoints", {"x": PLACE}, 'property "endpoints" validation failed: "x" is not an IP address'),
    ("endpoints", {"192.168.1.10": PLACE}, 'property "endpoints" validation failed: 192.168.1.10 is not an address'),
    ("endpoints", {"192.168.0.0": PLACE}, 'property "endpoints" validation failed: 192.168.0.0 is not an address'),
    ("endpoints", {"192.168.0.255": PLACE}, 'property "endpoints" validation failed: 192.168.0.255 is not an address'),
    ("endpoints", {"192.168.0.01": PLACE}, 'property "endpoints" validation failed: "192.168.0.01" is not'),
    (
        "endpoints",
        {"192.168.0.9": {"mac": MAC}},
        'property "endpoints" validation failed: failed to validate 192.168.0.9',
    ),
    ("endpoints", {"192.168.0.9": {"vtep": "10.1.0.31"}}, 'property "mac" is required'),
    ("endpoints", {"192.168.0.9": {**PLACE, "x": 1}}, "additional properties forbidden, found x"),
    (
        "endpoints",
        {"192.168.0.9": {**PLACE, "vtep": "here"}},
        'property "endpoints.192.168.0.9.vtep" validation failed: "here" is not an IP address',
    ),
    ("endpoints", {"fd00::9": PLACE}, 'property "endpoints" validation failed: fd00::9 is not an address'),
    ("endpoints", {"192.168.0.9": {**PLACE, "vtep": "fe80::1"}}, "fe80::1 is not a unicast address"),
    ("endpoints", {"192.168.0.9": {**PLACE, "unique_ip": "fd75::1"}}, "fd75::1 is not of the family of 192.168.0.9"),
    ("endpoints", {"192.168.0.9": {**PLACE, "vtep": "127.0.0.1"}}, 'property "endpoints.192.168.0.9.vtep"'),
    ("endpoints", {"192.168.0.9": {**PLACE, "vtep": "239.1.1.1"}}, 'property "endpoints.192.168.0.9.vtep"'),
    ("endpoints", {"192.168.0.9": {**PLACE, "mac": "02-00-c0-a8-00-0a"}}, 'property "endpoints.192.168.0.9.mac"'),
    ("endpoints", {"192.168.0.9": {**PLACE, "mac": "01:00:5e:00:00:01"}}, "is not a unicast MAC address"),
    ("endpoints", {"192.168.0.9": {**PLACE, "mac": "00:00:00:00:00:00"}}, "is not a unicast MAC address"),
    ("endpoints", {"192.168.0.9": {**PLACE, "unique_ip": "x"}}, 'property "unique_ip" validation failed'),
    (
        "endpoints",
        {"192.168.0.9": {**PLACE, "unique_ip": "100.64.9.9"}},
        'property "endpoints.192.168.0.9.unique_ip" validation failed: it is allocated, not chosen',
    ),
    ("endpoints", {f"10.0.{n >> 8}.{n & 255}": PLACE for n in range(2001)}, "expect object to have at most 2000"),
]

NODE_ROWS: list[tuple[str, Any, str]] = [
    ("role", ..., 'property "role" is required'),
    ("role", "worker", 'property "role" validation failed: matches none of the enum values'),
    ("zone", ..., 'property "zone" is required'),
    ("zone", "a b", 'property "zone" validation failed: failed to match pattern'),
    ("zone", "", 'property "zone" validation failed: string too short'),
    ("address", ..., 'property "address" is required'),
    ("address", "x", 'property "address" validation failed: expect valid ipv4 address but got: x'),
    ("address", "::1", 'property "address" validation failed: expect valid ipv4 address but got: ::1'),
    ("address", "0.0.0.0", 'property "address" validation failed: 0.0.0.0 is not a unicast address'),
    ("address", "255.255.255.255", 'property "address" validation failed: 255.255.255.255 is not a unicast address'),
    ("laddrs", "198.18.1.1", 'property "laddrs" validation failed: wrong type: expected array, got string'),
    ("laddrs", ["198.18.1"], 'property "laddrs" validation failed: "198.18.1" is not an IP address'),
    ("laddrs", ["198.18.1.1", "198.18.1.1"], 'property "laddrs" validation failed: expected unique items'),
    ("laddrs", ["224.0.0.1"], 'property "laddrs" validation failed: 224.0.0.1 is not a unicast address'),
    ("laddrs", [f"10.9.{n}.1" for n in range(257)], "expect array to have at most 256 items"),
    ("port_min", 80, 'property "port_min" validation failed: expected 80 to be at least 1024'),
    ("port_max", 65536, 'property "port_max" validation failed: expected 65536 to be at most 65535'),
    ("port_max", 1.5, 'property "port_max" validation failed: wrong type: expected integer, got number'),
]

VIP_ROWS: list[tuple[str, Any, str]] = [
    ("address", ..., 'property "address" is required'),
    ("address", "10.100.0.300", 'property "address" validation failed: "10.100.0.300" is not an IP address'),
    ("address", "224.0.0.1", 'property "address" validation failed: 224.0.0.1 is not a unicast address'),
    ("port", ..., 'property "port" is required'),
    ("port", 0, 'property "port" validation failed: expected 0 to be at least 1'),
    ("port", 65536, 'property "port" validation failed: expected 65536 to be at most 65535'),
    ("protocol", "sctp", 'property "protocol" validation failed: matches none of the enum values'),
    ("targets", ..., 'property "targets" is required'),
    ("targets", {}, 'property "targets" validation failed: wrong type: expected array, got table'),
    ("targets", [{"port": 80}], 'property "targets" validation failed: expected either "node" or "address"'),
    ("targets", [{"node": "gw1"}], 'failed to validate item 1: property "port" is required'),
    ("targets", [{"node": "gw1", "port": 80, "weight": -1}], 'property "weight" validation failed'),
    ("targets", [{"node": "gw1", "port": 80}] * 2, 'property "targets" validation failed: node gw1 port 80 is listed'),
    ("targets", [{"node": "nowhere", "port": 80}], "failed to fetch node info by targets.node [nowhere]"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    store = open_store(f"sqlite://{tmp_path_factory.mktemp('store')}/store.db")
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(store: Store, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with running(store, tmp_path_factory.mktemp("audit") / "audit.log") as client:
        yield client


async def refused(api: Client, store: Store, path: str, doc: dict[str, Any], says: str) -> None:
    before = await store.range("/")
    answer = await api.put(path, doc)
    assert (answer.status, says in answer.error) == (400, True), answer.raw
    assert answer.raw.endswith(b"}\n")
    assert await store.range("/") == before


@pytest.mark.parametrize(("doc", "says"), variants(ROUTE, COMMON_ROWS[1:] + ROUTE_ROWS))
async def test_a_bad_route_is_refused(api: Client, store: Store, doc: dict[str, Any], says: str) -> None:
    await refused(api, store, "routes/1", doc, says)


@pytest.mark.parametrize(("doc", "says"), variants(UPSTREAM, COMMON_ROWS[1:] + UPSTREAM_ROWS))
async def test_a_bad_upstream_is_refused(api: Client, store: Store, doc: dict[str, Any], says: str) -> None:
    await refused(api, store, "upstreams/1", doc, says)


@pytest.mark.parametrize(("doc", "says"), variants(VPC, COMMON_ROWS[1:] + VPC_ROWS))
async def test_a_bad_vpc_is_refused(api: Client, store: Store, doc: dict[str, Any], says: str) -> None:
    await refused(api, store, "/unilb/vpcs/blue", doc, says)


@pytest.mark.parametrize(("doc", "says"), variants(NODE, COMMON_ROWS[1:] + NODE_ROWS))
async def test_a_bad_node_is_refused(api: Client, store: Store, doc: dict[str, Any], says: str) -> None:
    await refused(api, store, "/unilb/nodes/gw1", doc, says)


@pytest.mark.parametrize(("doc", "says"), variants({**VIP, "targets": []}, COMMON_ROWS[1:] + VIP_ROWS))
async def test_a_bad_vip_is_refused(api: Client, store: Store, doc: dict[str, Any], says: str) -> None:
    await refused(api, store, "/unilb/vips/web", doc, says)


async def test_more_local_ports_at_the_bottom_than_at_the_top_are_refused(api: Client, store: Store) -> None:
    await refused(api, store, "/unilb/nodes/gw1", {**NODE, "port_min": 3000, "port_max": 2999}, "port_min")


@pytest.mark.parametrize("collection", ["routes", "upstreams", "/unilb/vpcs", "/unilb/vips", "/unilb/nodes"])
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(b"", "missing configurations", id="nothing"),
        pytest.param(b"{", "invalid request body: ", id="cut off"),
        pytest.param(b"{'uri': 1}", "invalid request body: ", id="not JSON"),
        pytest.param(b'{"uri": "/a"} x', "invalid request body: ", id="something after it"),
        pytest.param(b'{"uri": NaN}', "invalid request body: NaN is not JSON", id="NaN"),
        pytest.param(b'{"priority": 1e999}', "invalid request body: number out of range", id="infinite"),
        pytest.param(b'{"priority": ' + b"9" * 5000 + b"}", "invalid request body: ", id="a very long number"),
        pytest.param(b'{"uri": "\xff"}', "invalid request body: ", id="not UTF-8"),
        pytest.param(b'{"uri": "\\ud800"}', "invalid request body: ", id="half a character"),
        pytest.param(b'{"labels": ' + b"[" * 200 + b"]" * 200 + b"}", "nested deeper than 100", id="deep"),
        pytest.param(b"[" * 100_000, "invalid request body: ", id="very deep"),
        pytest.param(b"[]", "invalid configuration: wrong type: expected object", id="an array"),
        pytest.param(b"null", "invalid configuration: wrong type: expected object", id="null"),
    ],
)
async def test_a_bad_body_is_refused(api: Client, store: Store, collection: str, raw: bytes, says: str) -> None:
    before = await store.range("/")
    answer = await api.put(f"{collection}/1", raw)
    assert (answer.status, says in answer.error) == (400, True), answer.raw
    assert await store.range("/") == before


async def test_bad_json_is_sent_back_as_it_came(api: Client) -> None:
    answer = await api.put("routes/1", b'{"uri": "/a", \xff')
    assert answer.json["req_body"] == '{"uri": "/a", \ufffd'


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(api: Client, store: Store, chunked: bool) -> None:
    before = await store.range("/")
    body = json.dumps({**ROUTE, "desc": "x" * 1_572_864}).encode()

    async def pieces() -> Any:
        for start in range(0, len(body), 1 << 16):
            yield body[start : start + (1 << 16)]

    sent = pieces() if chunked else io.BytesIO(body)
    url = f"{api.url}/apisix/admin/routes/1"
    async with api.session.put(url, data=sent, headers={"X-API-KEY": "the-admin-key"}) as answer:
        text = (await answer.json())["error_msg"]
    assert answer.status == 400
    assert text.startswith("invalid request body: request size ")
    assert text.endswith(" is greater than the maximum size 1572864 allowed")
    assert await store.range("/") == before


async def test_a_big_body_within_the_limit_is_judged_by_its_content(api: Client) -> None:
    answer = await api.put("routes/1", {**ROUTE, "desc": "x" * 1_000_000})
    assert 'property "desc" validation failed: string too long' in answer.error


@pytest.mark.parametrize(
    ("path", "doc"),
    [
        ("routes", {"uri": "/a"}),
        ("routes", {"uri": "/a", "upstream_id": "nowhere"}),
        ("routes", {**ROUTE, "create_time": 1}),
        ("upstreams", {"nodes": {"a:0": 1}}),
        ("upstreams", {**UPSTREAM, "vpc_id": "nowhere"}),
        ("/unilb/vpcs", {**VPC, "vni": 0}),
        ("/unilb/vips", VIP),
        ("/unilb/nodes", {**NODE, "role": "x"}),
    ],
)
async def test_a_bad_post_leaves_no_trace(api: Client, store: Store, path: str, doc: dict[str, Any]) -> None:
    before = await store.range("/")
    assert (await api.post(path, doc)).status == 400
    assert await store.range("/") == before
