"""Node: a machine that runs `unilb node`, as a gateway or in the L4 tier."""

from dataclasses import dataclass
from typing import Self

from control.model.addresses import ADDRESS, IPV4, bad_field, unicast, unicast_any
from control.model.fields import COMMON, text_of_id
from control.model.schema import check_configuration, on_demand

MAX_LADDRS = 256
_LOCAL_PORT = {"type": "integer", "minimum": 1024, "maximum": 65535}

SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "role": {"type": "string", "enum": ["gateway", "l4"]},
        "zone": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-_.]+$"},
        "address": IPV4,
        "address6": ADDRESS,
        "laddrs": {"type": "array", "items": ADDRESS, "maxItems": MAX_LADDRS, "uniqueItems": True},
        "laddr_count": {"type": "integer", "minimum": 1, "maximum": MAX_LADDRS},
        "port_min": _LOCAL_PORT,
        "port_max": _LOCAL_PORT,
    },
    "required": ["role", "zone", "address"],
    "additionalProperties": False,
}
_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class Node:
    """`address`: on the underlay, also the node's VTEP. `address6`: where IPv6 VIPs find a gateway, or "". `laddrs`:
    addresses of either family that FNAT uses toward endpoints, with local ports `port_min` to `port_max`, inclusive.
    `laddr_count`: how many the control plane is to allocate when the object names none; 0 for none."""

    id: str
    role: str
    zone: str
    address: str
    laddrs: tuple[str, ...]
    port_min: int = 1024
    port_max: int = 65535
    laddr_count: int = 0
    address6: str = ""

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a node; `id` stands in where the object has none. Raises ModelError."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        node = cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            role=doc["role"],
            zone=doc["zone"],
            address=str(unicast(doc["address"], "address")),
            laddrs=tuple(str(unicast_any(laddr, "laddrs")) for laddr in doc.get("laddrs", [])),
            port_min=int(doc.get("port_min", 1024)),
            port_max=int(doc.get("port_max", 65535)),
            laddr_count=int(doc.get("laddr_count", 0)),
            address6=_address6(doc["address6"]) if "address6" in doc else "",
        )
        if node.port_min > node.port_max:
            raise bad_field("port_min", f"expected at most port_max ({node.port_max}), got {node.port_min}")
        if node.laddrs and node.laddr_count not in (0, len(node.laddrs)):
            raise bad_field("laddr_count", f"expected {len(node.laddrs)}, as many as laddrs, or neither of the two")
        return node


def _address6(text: str) -> str:
    address = unicast_any(text, "address6")
    if address.version != 6:
        raise bad_field("address6", f"{address} is not an IPv6 address")
    return str(address)
