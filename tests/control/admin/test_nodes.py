"""Nodes over the API: addresses that are one node's only."""

import asyncio
from typing import Any

import pytest

from tests.control.admin.conftest import Client

NODE = {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1", "198.18.1.2"]}


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"address": "10.1.0.11"}, 'property "address" validation failed: 10.1.0.11 belongs to node [gw1]'),
        ({"address": "198.18.1.2"}, 'property "address" validation failed: 198.18.1.2 belongs to node [gw1]'),
        ({"laddrs": ["198.18.2.1", "198.18.1.2"]}, 'property "laddrs" validation failed: 198.18.1.2 belongs to'),
        ({"laddrs": ["10.1.0.11"]}, 'property "laddrs" validation failed: 10.1.0.11 belongs to node [gw1]'),
    ],
)
async def test_addresses_of_nodes_do_not_overlap(api: Client, other: dict[str, Any], says: str) -> None:
    await api.must_put("/unilb/nodes/gw1", NODE)
    second = {"role": "gateway", "zone": "b", "address": "10.2.0.12", "laddrs": ["198.18.2.1"], **other}
    answer = await api.put("/unilb/nodes/gw2", second)
    assert (answer.status, says in answer.error) == (400, True)
    assert (await api.put("/unilb/nodes/gw1", {**NODE, "zone": "c"})).status == 200


async def test_a_local_address_never_gets_two_owners_in_a_race(pair: tuple[Client, Client]) -> None:
    for round in range(10):
        puts = [
            client.put(f"/unilb/nodes/n{number}", {**NODE, "address": f"10.1.{round}.{number + 1}"})
            for number, client in enumerate(pair)
        ]
        statuses = sorted(answer.status for answer in await asyncio.gather(*puts))
        assert statuses == [201, 400]
        for number in range(2):
            await pair[0].delete(f"/unilb/nodes/n{number}")
