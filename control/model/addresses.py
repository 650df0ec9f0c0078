"""IP addresses, networks and MAC addresses as our own resources write them, checked and in one spelling."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from control.model.errors import ModelError

IPV4 = {"type": "string", "format": "ipv4"}
ADDRESS = {"type": "string", "minLength": 2, "maxLength": 45}  # of either family: unicast_any() says which
_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\Z")


def bad_field(field: str, why: str) -> ModelError:
    """The error for a field whose schema passed but whose meaning is wrong."""
    return ModelError(f'invalid configuration: property "{field}" validation failed: {why}')


def unicast(text: str, field: str) -> IPv4Address:
    """The address, if a machine can have it: not 0.0.0.0/8, loopback, multicast, reserved or broadcast."""
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise bad_field(field, f'"{text}" is not an IPv4 address') from None
    if address.is_multicast or address.is_reserved or address.is_loopback or address in IPv4Network("0.0.0.0/8"):
        raise bad_field(field, f"{address} is not a unicast address of a machine")
    return address


def unicast_any(text: str, field: str) -> IPv4Address | IPv6Address:
    """Likewise for either family; an IPv6 address is global or of a site, not of a link, nor a mapped IPv4 one."""
    try:
        address = ip_address(text)
    except ValueError:
        raise bad_field(field, f'"{text}" is not an IP address') from None
    if isinstance(address, IPv4Address):
        return unicast(text, field)
    if (
        address.is_multicast
        or address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or address.ipv4_mapped
        or address.scope_id
    ):
        raise bad_field(field, f"{address} is not a unicast address of a machine")
    return address


def network(text: str, field: str) -> IPv4Network | IPv6Network:
    """The network of either family; bits outside the mask must be 0."""
    try:
        return ip_network(text)
    except ValueError:
        raise bad_field(field, f'"{text}" is not an IP network (address/length, host bits 0)') from None


def is_usable(address: IPv4Address | IPv6Address, within: IPv4Network | IPv6Network) -> bool:
    """True when a machine inside `within` can have `address`: IPv4's network and broadcast addresses are nobody's, nor
    is IPv6's first, which means any router (RFC 4291 section 2.6.1)."""
    if address not in within:
        return False
    if within.prefixlen >= within.max_prefixlen - 1:
        return True
    return address != within.network_address and (address.version == 6 or address != within.broadcast_address)


def unicast_mac(text: str, field: str) -> str:
    """Lower-case, colons, neither all zero nor a group address."""
    if not _MAC.match(text):
        raise bad_field(field, f'"{text}" is not a MAC address')
    mac = text.lower()
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise bad_field(field, f"{mac} is not a unicast MAC address")
    return mac


def as_host(address: str) -> str:
    """The address as an upstream's node names it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address


def of_host(host: str) -> str:
    """The address that a node's `host` names, in one spelling; other text as it is."""
    try:
        return str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return host
