"""EIPs over the API, and what else gets its address from a pool."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from control.allocate.pool import Pools, parse_pool
from control.store.base import Store
from tests.control.admin.conftest import Client, running

VIP: dict[str, Any] = {"port": 80, "targets": []}
POOLS = Pools(vips=parse_pool("10.100.0.0/29"), eips=parse_pool("203.0.113.80/29"), laddrs=parse_pool("198.18.0.0/28"))


async def test_addresses_are_given_kept_and_given_back(store: Store, audit_log: Path) -> None:
    async with running(store, audit_log, POOLS) as api:
        vip = await api.must_put("/unilb/vips/web", VIP)
        eip = await api.must_put("/unilb/eips/public", {"vip": "web"})
        assert (vip["address"], eip["address"]) == ("10.100.0.1", "203.0.113.81")
        assert (await api.must_put("/unilb/vips/web", {**VIP, "port": 81}))["address"] == "10.100.0.1"
        second = await api.must_put("/unilb/vips/tls", {**VIP, "port": 443, "address": "10.100.0.1"})
        assert second["address"] == "10.100.0.1"
        assert (
            await api.delete("/unilb/vips/web")
        ).error == "can not delete this vip, eip [public] is still using it now"
        assert (await api.delete("/unilb/eips/public")).status == 200
        assert (await api.delete("/unilb/vips/web")).status == 200
        assert (await api.must_put("/unilb/vips/web", VIP))["address"] == "10.100.0.2"
        assert (await api.must_put("/unilb/eips/public", {"vip": "web"}))["address"] == "203.0.113.82"


async def test_an_ipv6_vip_and_its_node_are_stored_twice_alike(store: Store, audit_log: Path) -> None:
    async with running(store, audit_log, POOLS) as api:
        node = {"role": "l4", "zone": "a", "address": "10.0.0.10", "laddrs": ["198.18.0.9", "fd00::9"]}
        vip = {"port": 80, "address": "2001:db8::80", "targets": [{"address": "2001:db8::1", "port": 8080}]}
        for _ in range(2):
            assert (await api.must_put("/unilb/nodes/l4", node))["laddrs"] == node["laddrs"]
            assert (await api.must_put("/unilb/vips/six", vip))["address"] == "2001:db8::80"
        assert (await api.delete("/unilb/vips/six")).status == (await api.delete("/unilb/nodes/l4")).status == 200


async def test_an_eip_refers_to_a_vip_that_exists(store: Store, audit_log: Path) -> None:
    async with running(store, audit_log, POOLS) as api:
        answer = await api.put("/unilb/eips/public", {"vip": "none"})
        assert (answer.status, answer.error) == (400, "failed to fetch vip info by vip [none], response code: 404")
        assert (await store.range("/unilb/addresses/"))[0] == []


async def test_a_chosen_eip_is_one_owners_only(store: Store, audit_log: Path) -> None:
    async with running(store, audit_log, POOLS) as api:
        await api.must_put("/unilb/vips/web", VIP)
        await api.must_put("/unilb/eips/a", {"vip": "web", "address": "203.0.113.81"})
        answer = await api.put("/unilb/eips/b", {"vip": "web", "address": "203.0.113.81"})
        assert 'property "address" validation failed: 203.0.113.81 belongs to eip [a]' in answer.error
        assert (await api.must_put("/unilb/eips/b", {"vip": "web"}))["address"] == "203.0.113.82"


async def test_a_node_gets_as_many_local_addresses_as_it_says(store: Store, audit_log: Path) -> None:
    async with running(store, audit_log, POOLS) as api:
        node = {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddr_count": 2}
        first = await api.must_put("/unilb/nodes/gw1", node)
        second = await api.must_put("/unilb/nodes/gw2", {**node, "address": "10.1.0.12"})
        assert (first["laddrs"], second["laddrs"]) == (["198.18.0.1", "198.18.0.2"], ["198.18.0.3", "198.18.0.4"])
        assert (await api.must_put("/unilb/nodes/gw1", {**node, "zone": "b"}))["laddrs"] == first["laddrs"]
        more = await api.must_put("/unilb/nodes/gw1", {**node, "laddr_count": 3})
        assert more["laddrs"] == ["198.18.0.1", "198.18.0.2", "198.18.0.5"]
        wrong = await api.put("/unilb/nodes/gw1", {**node, "laddrs": ["198.18.0.1"]})
        assert 'property "laddr_count" validation failed' in wrong.error


@pytest.mark.parametrize(
    ("path", "doc", "status", "says"),
    [
        ("/unilb/vips/web", VIP, 400, 'property "address" is required'),
        (
            "/unilb/nodes/n",
            {"role": "gateway", "zone": "a", "address": "10.1.0.1", "laddr_count": 257},
            400,
            "laddr_count",
        ),
    ],
)
async def test_without_a_pool_the_address_has_to_be_named(
    api: Client, store: Store, path: str, doc: dict[str, Any], status: int, says: str
) -> None:
    answer = await api.put(path, doc)
    assert (answer.status, says in answer.error) == (status, True)
    assert not [entry.key for entry in (await store.range("/unilb/"))[0] if not entry.key.startswith("/unilb/keys/")]


async def test_two_control_planes_never_give_one_address_twice(pair: tuple[Client, Client]) -> None:
    node = {"role": "gateway", "zone": "a", "laddr_count": 3}
    puts = [
        pair[number % 2].put(f"/unilb/nodes/n{number}", {**node, "address": f"10.1.0.{number + 1}"})
        for number in range(16)
    ]
    answers = await asyncio.gather(*puts)
    given = [address for answer in answers if answer.status == 201 for address in answer.value["laddrs"]]
    assert len(given) == len(set(given)) > 0 and {answer.status for answer in answers} <= {201, 503}
