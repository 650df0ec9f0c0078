"""Upstreams over the API: what is stored, and who holds them."""

from typing import Any

import pytest

from control.model.upstream import Upstream
from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:8080": 1}, "type": "roundrobin"}


@pytest.mark.parametrize("sent", [{"pass_host": "node"}, {"retries": 0, "retry_timeout": 2.5}, {"keepalive_pool": {}}])
async def test_what_is_stored_is_what_a_gateway_reads(api: Client, sent: dict[str, Any]) -> None:
    value = await api.must_put("upstreams/u", {**UPSTREAM, **sent})
    assert Upstream.from_json(value) == Upstream.from_json({**UPSTREAM, **sent, "id": "u"})


async def test_an_id_that_merely_occurs_in_a_route_does_not_hold_an_upstream(api: Client) -> None:
    await api.must_put("upstreams/1", UPSTREAM)
    await api.must_put("routes/1", {"uri": "/1", "desc": '"upstream_id":"1"', "upstream": UPSTREAM})
    assert (await api.delete("upstreams/1")).status == 200


@pytest.mark.parametrize("force", ["true", "anyvalue"])
async def test_force_deletes_an_upstream_in_use(api: Client, force: str) -> None:
    await api.must_put("upstreams/1", UPSTREAM)
    await api.must_put("routes/1", {"uri": "/a", "upstream_id": "1"})
    assert (await api.delete(f"upstreams/1?force={force}")).status == (200 if force == "true" else 400)
