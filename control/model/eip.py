"""EIP: a public address and the VIP that its packets go to. The edge in front of the L4 tier translates it."""

from dataclasses import dataclass
from typing import Self

from control.model.addresses import IPV4, unicast
from control.model.fields import COMMON, ID, text_of_id
from control.model.schema import check_configuration, on_demand

SCHEMA = {
    "type": "object",
    "properties": {**COMMON, "address": IPV4, "vip": ID},
    "required": ["vip"],
    "additionalProperties": False,
}
_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class Eip:
    """`address`: "" until the control plane has allocated it. `vip`: the id of the VIP whose address it stands for."""

    id: str
    address: str
    vip: str

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read an EIP, stored or as sent; `id` stands in where the object has none. Raises ModelError."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        return cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            address=str(unicast(doc["address"], "address")) if "address" in doc else "",
            vip=text_of_id(doc["vip"]),
        )
