"""VIP: an address and port that the L4 tier accepts packets for and steers to gateways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.addresses import IPV4, bad_field, unicast
from control.model.fields import COMMON, ID, PORT, text_of_id
from control.model.schema import check_configuration, compile_schema

MAX_TARGETS = 1024

TARGET = {
    "type": "object",
    "properties": {"node": ID, "port": PORT, "weight": {"type": "integer", "minimum": 0, "maximum": 65535}},
    "required": ["node", "port"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "address": IPV4,
        "port": PORT,
        "protocol": {"type": "string", "enum": ["tcp"]},
        "targets": {"type": "array", "items": TARGET, "maxItems": MAX_TARGETS},
    },
    "required": ["port", "targets"],
    "additionalProperties": False,
}
_check = compile_schema(SCHEMA)


@dataclass(frozen=True, slots=True)
class VipTarget:
    """A gateway (`node` is its id) and the port that it listens on. Weight 0 takes no new sessions."""

    node: str
    port: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Vip:
    """`address`:`port` in `protocol` ("tcp") goes to `targets`. `address`: "" until the control plane has allocated
    it."""

    id: str
    address: str
    port: int
    protocol: str
    targets: tuple[VipTarget, ...]

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a VIP; `id` stands in where the object has none. Raises ModelError."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        return cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            address=str(unicast(doc["address"], "address")) if "address" in doc else "",
            port=int(doc["port"]),
            protocol=doc.get("protocol", "tcp"),
            targets=_targets(doc["targets"]),
        )


def _targets(docs: list[Mapping[str, Any]]) -> tuple[VipTarget, ...]:
    targets = tuple(VipTarget(text_of_id(d["node"]), int(d["port"]), int(d.get("weight", 1))) for d in docs)
    seen: set[tuple[str, int]] = set()
    for target in targets:
        if (target.node, target.port) in seen:
            raise bad_field("targets", f"node {target.node} port {target.port} is listed twice")
        seen.add((target.node, target.port))
    return targets
