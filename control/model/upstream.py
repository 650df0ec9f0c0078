"""Upstream: a named group of endpoints and how to talk to them. APISIX's `nodes` become endpoints here, once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Self

from control.model.addresses import ADDRESS
from control.model.balancing import PANIC_THRESHOLD, WARM_UP, ZONE_PREFERENCE, WarmUp
from control.model.errors import ModelError
from control.model.fields import COMMON, HOST, ID, PORT, TIMEOUT, text_of_id
from control.model.health import SCHEMA as CHECKS
from control.model.health import Checks
from control.model.protection import LIMITS, PROXY_PROTOCOL, RETRY_BUDGET, RetryBudget, UpstreamLimits
from control.model.schema import check_configuration, on_demand
from control.model.upstream_tls import SCHEMA as TLS
from control.model.upstream_tls import UpstreamTls

MAX_WEIGHT = 2**31 - 1
WEIGHT = {"type": "integer", "minimum": 0, "maximum": MAX_WEIGHT}
NODE = {
    "type": "object",
    "properties": {
        "host": HOST,
        "port": PORT,
        "weight": WEIGHT,
        "priority": {"type": "integer", "minimum": -MAX_WEIGHT, "maximum": MAX_WEIGHT},
        "metadata": {"type": "object"},
    },
    "required": ["host", "weight"],
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "nodes": {
            "anyOf": [
                {"type": "object", "patternProperties": {".*": WEIGHT}},
                {"type": "array", "items": NODE},
            ]
        },
        "type": {"type": "string"},
        "scheme": {"enum": ["grpc", "grpcs", "http", "https", "tcp", "tls", "udp", "kafka"]},
        "pass_host": {"type": "string", "enum": ["pass", "node", "rewrite"]},
        "upstream_host": HOST,
        "retries": {"type": "integer", "minimum": 0, "maximum": 65535},
        "retry_timeout": {"type": "number", "minimum": 0, "maximum": 86400},
        "timeout": TIMEOUT,
        "keepalive_pool": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                "idle_timeout": {"type": "number", "minimum": 0, "maximum": 86400},
                "requests": {"type": "integer", "minimum": 1, "maximum": MAX_WEIGHT},
            },
        },
        "hash_on": {"type": "string", "enum": ["vars", "header", "cookie", "consumer", "vars_combinations"]},
        "key": {"type": "string"},
        "warm_up_conf": WARM_UP,
        "zone_preference": ZONE_PREFERENCE,
        "panic_threshold": PANIC_THRESHOLD,
        "limits": LIMITS,
        "retry_budget": RETRY_BUDGET,
        "proxy_protocol": PROXY_PROTOCOL,
        "checks": CHECKS,
        "tls": TLS,
        "discovery_type": {"type": "string"},
        "discovery_args": {
            "type": "object",
            "properties": {"namespace_id": {"type": "string"}, "group_name": {"type": "string"}},
        },
        "service_name": {"type": "string", "minLength": 1, "maxLength": 256},
    },
    "oneOf": [{"required": ["nodes"]}, {"required": ["service_name", "discovery_type"]}],
    "additionalProperties": False,
}
DEFAULT_PORT = 80
DEFAULT_TLS_PORT = 443

# What consistent hashing may take as its key, by `hash_on`; anything for vars_combinations, nothing for consumer.
_NAME_OF_FIELD = {"type": "string", "pattern": "^[a-zA-Z0-9-_]+$"}
_VARIABLE = {
    "type": "string",
    "pattern": "^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname"
    "|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$",
}

_check = on_demand(SCHEMA)
_CHECK_KEY = {
    "vars": on_demand(_VARIABLE),
    "header": on_demand(_NAME_OF_FIELD),
    "cookie": on_demand(_NAME_OF_FIELD),
    "vars_combinations": on_demand({"type": "string"}),
}
_check_vpc_id = on_demand({"type": "object", "properties": {"vpc_id": ID, "vpc_ip": ADDRESS}})
_HOST_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]+))?\Z")
_NAME = re.compile(r"(?!-)[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*\.?\Z")
_DOTTED = re.compile(r"[0-9.]+\Z")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port that requests are sent to.

    `host` is what is connected to: an IPv4 or IPv6 address (no brackets) or a domain name; for an endpoint in a VPC it
    is the unique IP, and `vpc_id`, `vpc_ip` say whose it stands for. Lower priorities wait for all higher ones to fail.
    `domain`: the name that `host`, an address, was resolved from.
    `zone`: where it stands, for upstreams with a zone preference.
    """

    host: str
    port: int
    weight: int
    priority: int = 0
    vpc_id: str | None = None
    vpc_ip: str | None = None
    domain: str | None = None
    zone: str | None = None

    def __hash__(self) -> int:
        """Requests look endpoints up: two of the seven fields tell them apart well enough."""
        return hash((self.host, self.port))

    @property
    def address(self) -> str:
        """`host:port`, or `[host]:port` for IPv6."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds. `send` and `read` run between two successful writes or reads, not over the whole message."""

    connect: float = 60
    send: float = 60
    read: float = 60

    @classmethod
    def from_json(cls, doc: Mapping[str, float]) -> Self:
        """Read a `timeout` object that its schema has passed."""
        return cls(doc["connect"], doc["send"], doc["read"])


@dataclass(frozen=True, slots=True)
class KeepalivePool:
    """Idle connections to keep: how many per worker, for how many seconds, for how many requests each."""

    size: int = 320
    idle_timeout: float = 60
    requests: int = 1000


@dataclass(frozen=True, slots=True)
class Upstream:
    """`retries`: extra tries after the first; None means one less than there are endpoints. `retry_timeout`: seconds
    that all tries together may take, 0 for no limit. `pass_host`: whose Host goes out: the client's ("pass"), the
    endpoint's ("node"), or `upstream_host` ("rewrite"). `hash_on`, `key`: what consistent hashing takes for its key.
    `spill_over`: endpoints of the node's own zone are preferred, entirely while so many percent of their weight are up;
    None: zones do not matter. `panic_threshold`: with less than so many percent of the endpoints up, all count as up;
    None: when none is, as in APISIX. `proxy_protocol`: the version in which each connection says whose it is, 0 not."""

    id: str
    type: str
    endpoints: tuple[Endpoint, ...]
    scheme: str = "http"
    pass_host: str = "pass"
    upstream_host: str | None = None
    retries: int | None = None
    retry_timeout: float = 0
    timeout: Timeout = field(default_factory=Timeout)
    keepalive_pool: KeepalivePool = field(default_factory=KeepalivePool)
    name: str = ""
    checks: Checks | None = None
    service: str | None = None
    hash_on: str = "vars"
    key: str = ""
    warm_up: WarmUp | None = None
    spill_over: int | None = None
    panic_threshold: int | None = None
    limits: UpstreamLimits = field(default_factory=UpstreamLimits)
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    proxy_protocol: int = 0
    tls: UpstreamTls = field(default_factory=UpstreamTls)

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored upstream, or one inside a route, which has no id of its own: pass `id` for it.

        Raises ModelError for anything that the Admin API would not have stored.
        """
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        if doc.get("pass_host") == "rewrite" and not doc.get("upstream_host"):
            raise ModelError("`upstream_host` can't be empty when `pass_host` is `rewrite`")
        _check_hashing(doc)
        return cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            type=doc.get("type", "roundrobin"),
            endpoints=_endpoints(doc),
            scheme=doc.get("scheme", "http"),
            pass_host=doc.get("pass_host", "pass"),
            upstream_host=doc.get("upstream_host"),
            retries=int(doc["retries"]) if "retries" in doc else None,
            retry_timeout=doc.get("retry_timeout", 0),
            timeout=Timeout.from_json(doc["timeout"]) if "timeout" in doc else Timeout(),
            keepalive_pool=_keepalive_pool(doc.get("keepalive_pool", {})),
            name=doc.get("name", ""),
            checks=Checks.from_json(doc["checks"]) if "checks" in doc else None,
            service=doc["service_name"] if doc.get("discovery_type") == "dns" and "service_name" in doc else None,
            hash_on=doc.get("hash_on", "vars"),
            key=doc.get("key", ""),
            warm_up=WarmUp.from_json(doc["warm_up_conf"]) if "warm_up_conf" in doc else None,
            spill_over=int(doc["zone_preference"].get("spill_over", 70)) if "zone_preference" in doc else None,
            panic_threshold=int(doc["panic_threshold"]) if "panic_threshold" in doc else None,
            limits=UpstreamLimits.from_json(doc.get("limits", {})),
            retry_budget=RetryBudget.from_json(doc.get("retry_budget", {})),
            proxy_protocol=int(doc.get("proxy_protocol", 0)),
            tls=UpstreamTls.from_json(doc["tls"]) if "tls" in doc else UpstreamTls(),
        )


def node_entries(doc: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of an upstream, APISIX's two forms as one: objects with host, port and weight; "host:port" -> weight is
    split. None for an upstream that is discovered.

    Raises ModelError for a map key that is no host or host:port.
    """
    nodes: Mapping[str, Any] | list[dict[str, Any]] = doc.get("nodes", [])
    if isinstance(nodes, list):
        yield from nodes
        return
    for key, weight in nodes.items():
        match = _HOST_PORT.match(key)
        if match is None and key.count(":") > 1:
            raise ModelError("invalid configuration: IPv6 address must be enclosed with '[' and ']'")
        if match is None or not match["host"]:
            raise _bad_node(f'"{key}" is not host:port')
        port = int(match["port"][:6]) if match["port"] else _default_port(doc)
        if not 1 <= port <= 65535:
            raise ModelError(f"invalid port {match['port'][:20]}")
        yield {"host": match["host"], "port": port, "weight": weight}


def _check_hashing(doc: Mapping[str, Any]) -> None:
    if doc.get("type") != "chash" or doc.get("hash_on") == "consumer":
        return
    if "key" not in doc:
        raise ModelError("missing key")
    check_configuration(_CHECK_KEY[doc.get("hash_on", "vars")], doc["key"])


def _default_port(doc: Mapping[str, Any]) -> int:
    return DEFAULT_TLS_PORT if doc.get("scheme") in ("https", "grpcs") else DEFAULT_PORT


def _endpoints(doc: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    default_port = _default_port(doc)
    endpoints = tuple(_endpoint(node, default_port) for node in node_entries(doc))
    seen: set[tuple[str, int]] = set()
    for endpoint in endpoints:
        # With another priority it is a last resort, as APISIX allows.
        place = (endpoint.address, endpoint.priority)
        if place in seen:
            raise _bad_node(f"{endpoint.address} is listed twice")
        seen.add(place)
    return endpoints


def _endpoint(node: Mapping[str, Any], default_port: int) -> Endpoint:
    metadata = node.get("metadata", {})
    error = _check_vpc_id(metadata)
    if error is not None:
        raise _bad_node(f'property "metadata" validation failed: {error}')
    if ("vpc_id" in metadata) != ("vpc_ip" in metadata):
        raise _bad_node('property "metadata" validation failed: "vpc_id" and "vpc_ip" go together')
    zone = metadata.get("zone")
    return Endpoint(
        host=_host(node["host"]),
        port=int(node.get("port", default_port)),
        weight=int(node["weight"]),
        priority=int(node.get("priority", 0)),
        vpc_id=text_of_id(metadata["vpc_id"]) if "vpc_id" in metadata else None,
        vpc_ip=metadata.get("vpc_ip"),
        zone=zone if isinstance(zone, str) else None,
    )


def _host(text: str) -> str:
    if ":" in text and not (text.startswith("[") and text.endswith("]")):
        raise ModelError("invalid configuration: IPv6 address must be enclosed with '[' and ']'")
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        if _DOTTED.match(text):
            return str(IPv4Address(text))
    except AddressValueError:
        raise _bad_node(f'property "host" validation failed: "{text}" is not an IP address') from None
    if not _NAME.match(text):
        raise _bad_node(f'property "host" validation failed: "{text[:64]}" is neither an IP address nor a domain name')
    return text.lower()


def _keepalive_pool(doc: Mapping[str, Any]) -> KeepalivePool:
    default = KeepalivePool()
    return KeepalivePool(
        size=int(doc.get("size", default.size)),
        idle_timeout=doc.get("idle_timeout", default.idle_timeout),
        requests=int(doc.get("requests", default.requests)),
    )


def _bad_node(why: str) -> ModelError:
    return ModelError(f'invalid configuration: property "nodes" validation failed: {why}')
