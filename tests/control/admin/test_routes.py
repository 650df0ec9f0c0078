"""Routes over the API: what they refer to."""

import pytest

from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:8080": 1}, "type": "roundrobin"}


@pytest.mark.parametrize("upstream_id", ["u1", 7])
async def test_a_route_may_refer_to_an_upstream_that_exists(api: Client, upstream_id: str | int) -> None:
    await api.must_put(f"upstreams/{upstream_id}", UPSTREAM)
    value = await api.must_put("routes/1", {"uri": "/a", "upstream_id": upstream_id})
    assert value["upstream_id"] == upstream_id
    refused = await api.delete(f"upstreams/{upstream_id}")
    assert (refused.status, refused.error) == (
        400,
        "can not delete this upstream, route [1] is still using it now",
    )
    await api.delete("routes/1")
    assert (await api.delete(f"upstreams/{upstream_id}")).status == 200


async def test_a_route_whose_upstream_was_forced_away_can_be_changed_but_not_recreated(api: Client) -> None:
    await api.must_put("upstreams/1", UPSTREAM)
    await api.must_put("routes/1", {"uri": "/a", "upstream_id": "1"})
    await api.delete("upstreams/1?force=true")
    assert (await api.put("routes/1", {"uri": "/b", "upstream_id": "1"})).status == 200
    assert (await api.put("routes/2", {"uri": "/b", "upstream_id": "1"})).status == 400
