"""VIP: an address and port that the L4 tier accepts packets for and steers to gateways, or straight to backends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.addresses import ADDRESS, bad_field, unicast_any
from control.model.balancing import PANIC_THRESHOLD
from control.model.fields import COMMON, ID, PORT, text_of_id
from control.model.schema import check_configuration, on_demand

MAX_TARGETS = 1024
STATES = ("up", "drain", "down")
MODES = ("fnat", "dsr")

TARGET = {
    "type": "object",
    "properties": {
        "node": ID,
        "address": ADDRESS,
        "vpc_id": ID,
        "port": PORT,
        "weight": {"type": "integer", "minimum": 0, "maximum": 65535},
        "state": {"type": "string", "enum": list(STATES)},
    },
    "required": ["port"],
    "additionalProperties": False,
}
CHECK = {
    "type": "object",
    "properties": {
        "enabled": {"type": "boolean"},
        "interval": {"type": "integer", "minimum": 1, "maximum": 3600},
        "timeout": {"type": "number", "minimum": 0.1, "maximum": 60},
        "rise": {"type": "integer", "minimum": 1, "maximum": 254},
        "fall": {"type": "integer", "minimum": 1, "maximum": 254},
        "port": PORT,
        "panic_threshold": PANIC_THRESHOLD,
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "address": ADDRESS,
        "port": PORT,
        "protocol": {"type": "string", "enum": ["tcp", "udp"]},
        "mode": {"type": "string", "enum": list(MODES)},
        "check": CHECK,
        "targets": {"type": "array", "items": TARGET, "maxItems": MAX_TARGETS},
    },
    "required": ["port", "targets"],
    "additionalProperties": False,
}
_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class VipTarget:
    """A gateway (`node` is its id), or a backend: an `address` of the VIP's family, with `vpc_id` one inside that VPC.
    In mode "dsr" an `address` is the IPv4 end of a tunnel, whatever the VIP's family.

    state: "up"; "drain" takes no new sessions, as does weight 0, and keeps its own; "down" ends those as well.
    """

    node: str
    port: int
    weight: int = 1
    address: str = ""
    vpc_id: str = ""
    state: str = "up"


@dataclass(frozen=True, slots=True)
class Check:
    """How L4 nodes check targets: by a TCP connection every `interval` seconds, within `timeout` seconds. `fall`
    failures in a row take a target down, `rise` successes bring it back. `port`: instead of the target's, unless 0.
    `panic_threshold`: with less than so many percent of the targets up, all count as up; 0 for never."""

    interval: int = 2
    timeout: float = 1
    rise: int = 2
    fall: int = 3
    port: int = 0
    panic_threshold: int = 0


@dataclass(frozen=True, slots=True)
class Vip:
    """`address`:`port` in `protocol` ("tcp" or "udp") goes to `targets`. `address`: "" until the control plane has
    allocated it, from a pool of IPv4. `mode`: "fnat", translated both ways with the client's address in a TOA option;
    or "dsr", unchanged in a tunnel to targets that have the VIP's address and answer the client themselves. `check`:
    None when targets are not checked, as those of UDP are unless it names a port."""

    id: str
    address: str
    port: int
    protocol: str
    targets: tuple[VipTarget, ...]
    mode: str = "fnat"
    check: Check | None = Check()

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a VIP; `id` stands in where the object has none. Raises ModelError."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        address = unicast_any(doc["address"], "address") if "address" in doc else None
        port, mode = int(doc["port"]), doc.get("mode", "fnat")
        family = address.version if address else 4
        return cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            address=str(address) if address else "",
            port=port,
            protocol=doc.get("protocol", "tcp"),
            targets=_targets(doc["targets"], family, port if mode == "dsr" else 0),
            mode=mode,
            check=_check_of(doc.get("check", {}), doc.get("protocol", "tcp")),
        )


def _check_of(doc: Mapping[str, Any], protocol: str) -> Check | None:
    if not doc.get("enabled", True) or (protocol == "udp" and not doc):
        return None
    if protocol == "udp" and "port" not in doc:
        raise bad_field("check", 'a UDP VIP needs its "port": a check is a TCP connection')
    return Check(**{name: value for name, value in doc.items() if name != "enabled"})


def _targets(docs: list[Mapping[str, Any]], family: int, dsr_port: int) -> tuple[VipTarget, ...]:
    """dsr_port: the VIP's in mode "dsr", else 0."""
    for doc in docs if dsr_port else ():
        _check_dsr(doc, dsr_port)
    targets = tuple(_target(doc, 4 if dsr_port else family) for doc in docs)
    seen: set[tuple[str, str, str, int]] = set()
    for target in targets:
        place = (target.node, target.vpc_id, target.address, target.port)
        if place in seen:
            raise bad_field("targets", f"{_name(target)} port {target.port} is listed twice")
        seen.add(place)
    return targets


def _check_dsr(doc: Mapping[str, Any], port: int) -> None:
    if "vpc_id" in doc:
        raise bad_field("targets", 'mode "dsr" has no targets in a VPC: they could not answer the client')
    if int(doc["port"]) != port:
        raise bad_field("targets", f'in mode "dsr" the port of each target is the VIP\'s, {port}')
    if "address" in doc and unicast_any(doc["address"], "targets").version != 4:
        raise bad_field("targets", f'{doc["address"]}: in mode "dsr" a target is an IPv4 address, where a tunnel ends')


def _target(doc: Mapping[str, Any], family: int) -> VipTarget:
    if ("node" in doc) == ("address" in doc):
        raise bad_field("targets", 'expected either "node" or "address" of each target')
    if "vpc_id" in doc and "address" not in doc:
        raise bad_field("targets", '"vpc_id" goes with "address"')
    address = ""
    if "address" in doc:
        found = unicast_any(doc["address"], "targets")
        if found.version != family:
            raise bad_field("targets", f"{found} is not of the VIP's address family")
        address = str(found)
    return VipTarget(
        node=text_of_id(doc["node"]) if "node" in doc else "",
        port=int(doc["port"]),
        weight=int(doc.get("weight", 1)),
        address=address,
        vpc_id=text_of_id(doc["vpc_id"]) if "vpc_id" in doc else "",
        state=doc.get("state", "up"),
    )


def _name(target: VipTarget) -> str:
    return f"node {target.node}" if target.node else f"address {target.address}"
