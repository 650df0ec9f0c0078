"""VPCs over the API: unique IPs given, kept, rested; upstreams in a VPC translated; nothing in use taken away."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from control.allocate.pool import Pools, parse_pool
from control.model.vpc import Vpc
from control.store.base import Store
from tests.control.admin.conftest import Client, running


def place(last: int) -> dict[str, str]:
    return {"vtep": "10.1.0.31", "mac": f"02:00:c0:a8:00:{last:02x}"}


def vpc(*last: int, vni: int = 10010) -> dict[str, Any]:
    return {"vni": vni, "cidr": "192.168.0.0/24", "endpoints": {f"192.168.0.{n}": place(n) for n in last}}


def unique_ips(value: dict[str, Any]) -> dict[str, str]:
    return {ip: endpoint["unique_ip"] for ip, endpoint in value["endpoints"].items()}


async def test_endpoints_get_unique_ips_that_they_keep(api: Client) -> None:
    first = await api.must_put("/unilb/vpcs/blue", vpc(10, 11))
    assert unique_ips(first) == {"192.168.0.10": "100.64.0.1", "192.168.0.11": "100.64.0.2"}
    again = await api.must_put("/unilb/vpcs/blue", vpc(11, 12, 10))
    assert unique_ips(again) == {**unique_ips(first), "192.168.0.12": "100.64.0.3"}
    put_back = await api.must_put("/unilb/vpcs/blue", again)
    assert unique_ips(put_back) == unique_ips(again)
    assert Vpc.from_json(put_back).endpoints["192.168.0.12"].unique_ip == "100.64.0.3"


async def test_the_same_address_in_two_vpcs_has_two_unique_ips(api: Client) -> None:
    blue = await api.must_put("/unilb/vpcs/blue", vpc(10))
    green = await api.must_put("/unilb/vpcs/green", vpc(10, vni=10020))
    assert unique_ips(blue) != unique_ips(green)


async def test_a_vni_belongs_to_one_vpc(api: Client) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc())
    answer = await api.put("/unilb/vpcs/green", vpc())
    assert answer.error == 'invalid configuration: property "vni" validation failed: 10010 belongs to vpc [blue]'
    await api.must_put("/unilb/vpcs/blue", vpc(vni=10011))
    await api.must_put("/unilb/vpcs/green", vpc())
    await api.delete("/unilb/vpcs/blue")
    await api.must_put("/unilb/vpcs/red", vpc(vni=10011))


async def test_a_freed_unique_ip_rests_and_then_returns(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 2_000_000_000
    monkeypatch.setattr("control.admin.vpcs.time.time", lambda: now)
    await api.must_put("/unilb/vpcs/blue", vpc(10, 11))
    await api.must_put("/unilb/vpcs/blue", vpc(11))
    assert unique_ips(await api.must_put("/unilb/vpcs/blue", vpc(11, 12)))["192.168.0.12"] == "100.64.0.3"
    now += 599
    assert unique_ips(await api.must_put("/unilb/vpcs/blue", vpc(11, 12, 13)))["192.168.0.13"] == "100.64.0.4"
    now += 1
    assert unique_ips(await api.must_put("/unilb/vpcs/blue", vpc(11, 12, 13, 14)))["192.168.0.14"] == "100.64.0.1"


async def test_a_deleted_vpc_gives_back_what_it_had(api: Client, store: Store) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc(10, 11))
    assert (await api.delete("/unilb/vpcs/blue")).status == 200
    assert (await store.range("/unilb/vnis/"))[0] == []
    assert unique_ips(await api.must_put("/unilb/vpcs/blue", vpc(10))) == {"192.168.0.10": "100.64.0.3"}


async def test_endpoints_of_ipv6_get_unique_ips_of_ipv6_under_one_spelling(api: Client) -> None:
    six = {"vni": 6, "cidr": "fd00:a::/64", "endpoints": {"FD00:A::10": {**place(10), "vtep": "2001:db8::31"}}}
    value = await api.must_put("/unilb/vpcs/six", six)
    assert unique_ips(value) == {"fd00:a::10": "fd75:6e69:6c62::1"}
    assert unique_ips(await api.must_put("/unilb/vpcs/six", value)) == unique_ips(value)
    stored = await api.must_put("/apisix/admin/upstreams/u", {"vpc_id": "six", "nodes": {"[fd00:a::10]:80": 1}})
    assert stored["nodes"][0]["host"] == "[fd75:6e69:6c62::1]"
    assert (await api.delete("/unilb/vpcs/six")).status == 400


async def test_an_exhausted_pool_says_503_and_changes_nothing(store: Store, audit_log: Path) -> None:
    async with running(store, audit_log, Pools(parse_pool("100.64.0.0/29"))) as api:
        await api.must_put("/unilb/vpcs/blue", vpc(1, 2, 3, 4, 5, 6))
        before = await store.range("/")
        answer = await api.put("/unilb/vpcs/green", vpc(1, vni=5))
        assert (answer.status, answer.error) == (503, "no unique IP is left in 100.64.0.0/29")
        assert await store.range("/") == before


async def test_an_upstream_in_a_vpc_is_stored_with_unique_ips(api: Client) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc(10, 11))
    sent = {"vpc_id": "blue", "nodes": {"192.168.0.10:8080": 1, "192.168.0.11:8080": 2}, "type": "roundrobin"}
    stored = await api.must_put("upstreams/u", sent)
    assert "vpc_id" not in stored
    assert stored["nodes"] == [
        {
            "host": f"100.64.0.{n}",
            "port": 8080,
            "weight": n,
            "metadata": {"vpc_id": "blue", "vpc_ip": f"192.168.0.{9 + n}"},
        }
        for n in (1, 2)
    ]
    shown = (await api.get("upstreams/u")).value
    again = await api.must_put("upstreams/u", shown)
    assert {**again, "update_time": 0} == {**shown, "update_time": 0}


async def test_an_upstream_inside_a_route_may_stand_in_a_vpc(api: Client) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc(10))
    node = {"host": "192.168.0.10", "port": 80, "weight": 1, "metadata": {"mine": 1}}
    stored = await api.must_put("routes/r", {"uri": "/a", "upstream": {"vpc_id": "blue", "nodes": [node]}})
    assert stored["upstream"]["nodes"][0]["metadata"] == {"mine": 1, "vpc_id": "blue", "vpc_ip": "192.168.0.10"}
    assert (await api.delete("/unilb/vpcs/blue")).error == "can not delete this vpc, route [r] is still using it now"
    assert "192.168.0.10 can not be removed, route [r]" in (await api.put("/unilb/vpcs/blue", vpc())).error


async def test_classic_and_vpc_endpoints_mix_by_patch(api: Client) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc(10))
    await api.must_put("upstreams/u", {"vpc_id": "blue", "nodes": {"192.168.0.10:80": 1}})
    nodes = (await api.get("upstreams/u")).value["nodes"]
    classic = {"host": "10.9.9.9", "port": 80, "weight": 1}
    patched = await api.patch("upstreams/u/nodes", [*nodes, classic])
    assert patched.value["nodes"] == [*nodes, classic]


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"host": "192.168.0.99"}, "vpc [blue] has no endpoint 192.168.0.99"),
        ({"host": "web.local"}, "vpc [blue] has no endpoint web.local"),
        (
            {"host": "100.64.0.9", "metadata": {"vpc_id": "blue", "vpc_ip": "192.168.0.10"}},
            "100.64.0.9 is not the unique IP of 192.168.0.10, which is 100.64.0.1",
        ),
        (
            {"host": "100.64.0.1", "metadata": {"vpc_id": "blue", "vpc_ip": "192.168.0.99"}},
            "vpc [blue] has no endpoint 192.168.0.99",
        ),
        (
            {"host": "100.64.0.1", "metadata": {"vpc_id": "red", "vpc_ip": "192.168.0.10"}},
            "failed to fetch vpc info by vpc id [red]",
        ),
    ],
)
async def test_an_endpoint_that_its_vpc_does_not_have_is_refused(
    api: Client, store: Store, node: dict[str, Any], says: str
) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc(10))
    before = await store.range("/")
    answer = await api.put("upstreams/u", {"vpc_id": "blue", "nodes": [{"port": 80, "weight": 1, **node}]})
    assert (answer.status, says in answer.error) == (400, True), answer.raw
    assert await store.range("/") == before


async def test_an_endpoint_in_use_stays_in_its_vpc(api: Client) -> None:
    await api.must_put("/unilb/vpcs/blue", vpc(10, 11))
    await api.must_put("upstreams/u", {"vpc_id": "blue", "nodes": {"192.168.0.10:80": 1}})
    answer = await api.put("/unilb/vpcs/blue", vpc(11))
    assert (answer.status, answer.error) == (
        400,
        'invalid configuration: property "endpoints" validation failed:'
        " 192.168.0.10 can not be removed, upstream [u] is still using it now",
    )
    assert (await api.put("/unilb/vpcs/blue", vpc(10))).status == 200
    for query in ("", "?force=true"):
        assert (await api.delete(f"/unilb/vpcs/blue{query}")).error == (
            "can not delete this vpc, upstream [u] is still using it now"
        )
    await api.delete("upstreams/u")
    assert (await api.delete("/unilb/vpcs/blue")).status == 200


async def test_a_machine_may_move_to_another_host_under_its_unique_ip(api: Client) -> None:
    before = await api.must_put("/unilb/vpcs/blue", vpc(10))
    await api.must_put("upstreams/u", {"vpc_id": "blue", "nodes": {"192.168.0.10:80": 1}})
    moved = (await api.patch("/unilb/vpcs/blue/endpoints/192.168.0.10/vtep", "10.2.0.32")).value
    assert unique_ips(moved) == unique_ips(before) and moved["endpoints"]["192.168.0.10"]["vtep"] == "10.2.0.32"


async def test_a_vpc_of_two_thousand_endpoints_is_written_and_replaced_whole(
    pair: tuple[Client, Client],
) -> None:
    def big(net: int) -> dict[str, Any]:
        return {f"10.{net}.{n >> 8}.{n & 255}": place(1) for n in range(1, 2001)}

    api = pair[0]
    value = await api.must_put("/unilb/vpcs/big", {"vni": 5, "cidr": "10.0.0.0/8", "endpoints": big(1)})
    assert len(set(unique_ips(value).values())) == 2000
    value = await api.must_put("/unilb/vpcs/big", {"vni": 5, "cidr": "10.0.0.0/8", "endpoints": big(2)})
    assert len(set(unique_ips(value).values())) == 2000


async def test_no_unique_ip_gets_two_owners_in_a_race(pair: tuple[Client, Client]) -> None:
    puts = [pair[n % 2].put(f"/unilb/vpcs/v{n}", vpc(1, 2, 3, vni=n + 1)) for n in range(10)]
    answers = await asyncio.gather(*puts)
    done = [answer for answer in answers if answer.status == 201]
    given = [ip for answer in done for ip in unique_ips(answer.value).values()]
    assert len(given) == len(set(given)) == 3 * len(done) and {a.status for a in answers} <= {201, 503}
    assert len(done) >= 2


async def test_many_writes_to_one_process_take_turns_and_all_succeed(api: Client) -> None:
    answers = await asyncio.gather(*(api.put(f"/unilb/vpcs/v{n}", vpc(1, 2, vni=n + 1)) for n in range(30)))
    assert {answer.status for answer in answers} == {201}
    assert len({ip for answer in answers for ip in unique_ips(answer.value).values()}) == 60


async def test_an_endpoint_is_never_removed_under_an_upstream_in_a_race(
    pair: tuple[Client, Client],
) -> None:
    one, two = pair
    for round in range(10):
        await one.must_put("/unilb/vpcs/blue", vpc(10))
        use, remove = await asyncio.gather(
            one.put(f"upstreams/{round}", {"vpc_id": "blue", "nodes": {"192.168.0.10:80": 1}}),
            two.put("/unilb/vpcs/blue", vpc()),
        )
        assert (use.status, remove.status) in ((201, 400), (400, 200)), (use.raw, remove.raw)
        await one.delete(f"upstreams/{round}")
