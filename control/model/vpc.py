"""VPC: a tenant's network behind VXLAN, and those of its machines that upstreams send requests to."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Self

from control.model.addresses import IPV4, bad_field, is_usable, network, unicast, unicast_mac
from control.model.fields import COMMON, text_of_id
from control.model.schema import check_configuration, compile_schema

# 4,000 ownership records may change in one transaction of the store; a PUT can replace every endpoint.
MAX_ENDPOINTS = 2000
DEFAULT_MTU = 1450

ENDPOINT = {
    "type": "object",
    "properties": {
        "vtep": IPV4,
        "mac": {"type": "string"},
        "unique_ip": IPV4,
        "type": {"type": "string", "enum": ["vm", "pod", "host"], "default": "vm"},
    },
    "required": ["vtep", "mac"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "vni": {"type": "integer", "minimum": 1, "maximum": 2**24 - 1},
        "cidr": {"type": "string"},
        "mtu": {"type": "integer", "minimum": 576, "maximum": 8950},
        "endpoints": {"type": "object", "maxProperties": MAX_ENDPOINTS, "patternProperties": {".*": ENDPOINT}},
    },
    "required": ["vni", "cidr"],
    "additionalProperties": False,
}
_check = compile_schema(SCHEMA)


@dataclass(frozen=True, slots=True)
class VpcEndpoint:
    """A machine in a VPC. `ip`: its address there; `vtep`: underlay address of its host; `mac`: its own, lower-case;
    `unique_ip`: its name everywhere outside the VPC, "" until the control plane has allocated it."""

    ip: str
    vtep: str
    mac: str
    unique_ip: str


@dataclass(frozen=True, slots=True)
class Vpc:
    """`vni`: VXLAN network id, 1 to 2**24-1. `mtu`: of the machines inside, bytes. `endpoints`: by VPC address."""

    id: str
    vni: int
    cidr: str
    mtu: int
    endpoints: Mapping[str, VpcEndpoint]

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a VPC, stored or as sent; `id` stands in where the object has none. Raises ModelError."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        within = network(doc["cidr"], "cidr")
        endpoints: dict[str, VpcEndpoint] = {}
        for ip, endpoint in doc.get("endpoints", {}).items():
            try:
                address = IPv4Address(ip)
            except AddressValueError:
                raise bad_field("endpoints", f'"{ip}" is not an IPv4 address') from None
            if not is_usable(address, within):
                raise bad_field("endpoints", f"{ip} is not an address of a machine in {within}")
            endpoints[str(address)] = _endpoint(str(address), endpoint)
        return cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            vni=int(doc["vni"]),
            cidr=str(within),
            mtu=int(doc.get("mtu", DEFAULT_MTU)),
            endpoints=endpoints,
        )


def _endpoint(ip: str, doc: Mapping[str, Any]) -> VpcEndpoint:
    return VpcEndpoint(
        ip=ip,
        vtep=str(unicast(doc["vtep"], f"endpoints.{ip}.vtep")),
        mac=unicast_mac(doc["mac"], f"endpoints.{ip}.mac"),
        unique_ip=doc.get("unique_ip", ""),
    )
