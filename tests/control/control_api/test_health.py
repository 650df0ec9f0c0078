"""Health, where nothing is checked."""

from control.store.base import Store
from tests.control.control_api.conftest import Ask, put


async def test_nothing_is_checked(ask: Ask) -> None:
    assert (await ask("/v1/healthcheck")).json == []
    assert (await ask("/v1/healthcheck", accept="text/html")).raw.startswith(b"<html>")


async def test_an_object_has_no_checker_or_is_not_there(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/routes/1", {"id": "1", "uri": "/a"})
    assert (await ask("/v1/healthcheck/routes/1")).error == "no checker for routes[1]"
    assert (await ask("/v1/healthcheck/routes/2")).error == "routes[2] not found"
    wrong = await ask("/v1/healthcheck/route/1")
    assert (wrong.status, wrong.error) == (400, "invalid src type route")
