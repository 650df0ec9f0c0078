from ipaddress import IPv4Address, IPv4Network

import pytest

from control.allocate.derive import derive_unique_ips
from control.allocate.pool import Pool, Pools
from control.model.vpc import Vpc, VpcEndpoint

POOL = Pools()
SMALL = Pools(Pool(IPv4Network("10.0.0.0/29")))


def vpc(id: str, *endpoints: str, named: str = "") -> dict[str, Vpc]:
    found = {ip: VpcEndpoint(ip, "10.0.0.1", "02:00:00:00:00:01", named) for ip in endpoints}
    return {id: Vpc(id, 1, "192.168.0.0/24", 1450, found)}


def test_the_same_endpoint_gets_the_same_address_whatever_else_there_is() -> None:
    alone = derive_unique_ips(vpc("blue", "192.168.0.10"), POOL)
    among = derive_unique_ips(vpc("blue", "192.168.0.9", "192.168.0.10") | vpc("a", "192.168.0.10"), POOL)
    assert among["blue", "192.168.0.10"] == alone["blue", "192.168.0.10"]
    assert len(set(among.values())) == 3
    assert all(IPv4Address(unique) in POOL.unique_ips.network for unique in among.values())


def test_an_address_that_is_named_is_kept_and_nobody_elses() -> None:
    free = derive_unique_ips(vpc("blue", "192.168.0.10"), POOL)["blue", "192.168.0.10"]
    both = derive_unique_ips(vpc("blue", "192.168.0.10") | vpc("green", "192.168.0.10", named=free), POOL)
    assert both["green", "192.168.0.10"] == free != both["blue", "192.168.0.10"]


def test_a_full_pool_is_used_up_and_not_exceeded() -> None:
    six = [f"192.168.0.{n}" for n in range(1, 7)]
    found = derive_unique_ips(vpc("blue", *six), SMALL)
    assert set(found.values()) == {f"10.0.0.{n}" for n in range(1, 7)}
    with pytest.raises(ValueError, match="7 endpoints in VPCs, 10.0.0.0/29 has 6 unique IPs"):
        derive_unique_ips(vpc("blue", *six, "192.168.0.7"), SMALL)


def test_an_endpoint_of_ipv6_has_a_unique_ip_of_ipv6() -> None:
    six = Vpc(
        "six", 2, "fd00:a::/64", 1430, {"fd00:a::10": VpcEndpoint("fd00:a::10", "10.1.0.31", "02:00:00:00:00:01", "")}
    )
    found = derive_unique_ips({"six": six} | vpc("blue", "192.168.0.10"), POOL)
    assert POOL.unique_ips6.holds(found["six", "fd00:a::10"]) and POOL.unique_ips.holds(found["blue", "192.168.0.10"])
