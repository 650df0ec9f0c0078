"""The region of vagrant/topology.yaml with an underlay of IPv6 beside that of IPv4, as sites of both families have."""

import yaml

SEGMENTS6 = {"core": "fd10::/64", "zone-a": "fd10:1::/64", "zone-b": "fd10:2::/64"}
ADDRESSES6 = {
    "router": {"core": "fd10::1", "zone-a": "fd10:1::1", "zone-b": "fd10:2::1"},
    "gw1": {"zone-a": "fd10:1::11"},
    "gw2": {"zone-b": "fd10:2::12"},
    "host1": {"zone-a": "fd10:1::31"},
    "host2": {"zone-b": "fd10:2::32"},
}


def over_ipv6(text: str) -> str:
    """Return the topology with these addresses, and VPC six over them."""
    written = yaml.safe_load(text)
    written["segments6"] = SEGMENTS6
    for name, addresses in ADDRESSES6.items():
        written["machines"][name]["addresses6"] = addresses
    written["vpcs"]["six"] |= {"underlay": "ipv6", "mtu": 1430}
    return str(yaml.safe_dump(written, sort_keys=False))
