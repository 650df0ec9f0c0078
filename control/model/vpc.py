"""VPC: a tenant's network behind VXLAN, and those of its machines that upstreams send requests to."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Self

from control.model.addresses import ADDRESS, bad_field, is_usable, network, unicast_any, unicast_mac
from control.model.fields import COMMON, text_of_id
from control.model.schema import check_configuration, on_demand

# 4,000 ownership records may change in one transaction of the store; a PUT can replace every endpoint.
MAX_ENDPOINTS = 2000
DEFAULT_MTU = 1450
LEAST_MTU6 = 1280  # RFC 8200 section 5

ENDPOINT = {
    "type": "object",
    "properties": {
        "vtep": ADDRESS,
        "mac": {"type": "string"},
        "unique_ip": ADDRESS,
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
_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class VpcEndpoint:
    """A machine in a VPC. `ip`: its address there; `vtep`: underlay address of its host, of either family; `mac`: its
    own, lower-case; `unique_ip`: its name everywhere outside the VPC, of the family of `ip`, "" until the control plane
    has allocated it."""

    ip: str
    vtep: str
    mac: str
    unique_ip: str


@dataclass(frozen=True, slots=True)
class Vpc:
    """`vni`: VXLAN network id, 1 to 2**24-1. `cidr`: its addresses, all of one family. `mtu`: of the machines inside,
    bytes. `endpoints`: by VPC address."""

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
            address = _address(ip, within)
            if address in endpoints:
                raise bad_field("endpoints", f"{address} is listed twice")
            endpoints[address] = _endpoint(address, endpoint)
        mtu = int(doc.get("mtu", DEFAULT_MTU))
        if within.version == 6 and mtu < LEAST_MTU6:
            raise bad_field("mtu", f"IPv6 needs at least {LEAST_MTU6}, got {mtu}")
        return cls(
            id=text_of_id(doc["id"]) if id is None and "id" in doc else id or "",
            vni=int(doc["vni"]),
            cidr=str(within),
            mtu=mtu,
            endpoints=endpoints,
        )


def _address(text: str, within: IPv4Network | IPv6Network) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise bad_field("endpoints", f'"{text}" is not an IP address') from None
    if address.version == 6:
        unicast_any(text, "endpoints")
    if not is_usable(address, within):
        raise bad_field("endpoints", f"{text} is not an address of a machine in {within}")
    return str(address)


def _endpoint(ip: str, doc: Mapping[str, Any]) -> VpcEndpoint:
    return VpcEndpoint(
        ip=ip,
        vtep=str(unicast_any(doc["vtep"], f"endpoints.{ip}.vtep")),
        mac=unicast_mac(doc["mac"], f"endpoints.{ip}.mac"),
        unique_ip=_unique_ip(ip, doc["unique_ip"]) if "unique_ip" in doc else "",
    )


def _unique_ip(ip: str, text: str) -> str:
    field = f"endpoints.{ip}.unique_ip"
    unique = unicast_any(text, field)
    if unique.version != ip_address(ip).version:
        raise bad_field(field, f"{unique} is not of the family of {ip}")
    return str(unique)
