"""What plugins ask of objects beside their own."""

import asyncio
from typing import Any

import pytest

from tests.control.admin.conftest import Client

MISMATCH = "failed to check the configuration of plugin limit-count err: group conf mismatched"
PATH = (
    "failed to check the configuration of plugin file-logger err: "
    'property "path" is not set in either the plugin conf or the metadata'
)
ROUTE = {"uri": "/a"}


def limited(count: int, **more: Any) -> dict[str, Any]:
    conf = {"count": count, "time_window": 60, "group": "shop", **more}
    return {"plugins": {"limit-count": conf}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("routes/2", ROUTE),
        ("services/1", {}),
        ("plugin_configs/1", {}),
        ("consumer_groups/1", {}),
        ("global_rules/1", {}),
        ("consumers", {"username": "jack"}),
        ("routes/1", ROUTE),  # itself
    ],
)
async def test_all_of_a_group_say_the_same(api: Client, path: str, body: dict[str, Any]) -> None:
    await api.must_put("routes/1", {**ROUTE, **limited(2)})
    refused = await api.put(path, {**body, **limited(3)})
    assert (refused.status, refused.error) == (400, MISMATCH)
    # What is left out has its default, and who is asked first is nobody's business.
    await api.must_put(path, {**body, **limited(2, policy="local", _meta={"priority": 5})})
    await api.must_put(path, {**body, **limited(3, group="other")})


async def test_a_group_that_nobody_has_any_more_is_free(api: Client) -> None:
    await api.must_put("routes/1", {**ROUTE, **limited(2)})
    await api.delete("routes/1")
    await api.must_put("routes/1", {**ROUTE, **limited(3)})
    await api.must_put("routes/1", {**ROUTE, "plugins": {"limit-count": {**_conf(4), "_meta": {"disable": True}}}})
    await api.must_put("routes/2", {**ROUTE, **limited(5)})


def _conf(count: int) -> dict[str, Any]:
    conf: dict[str, Any] = limited(count)["plugins"]["limit-count"]
    return conf


async def test_of_two_that_make_one_group_at_once_one_does(pair: tuple[Client, Client]) -> None:
    for round in range(8):
        answers = await asyncio.gather(
            *(
                api.put(f"routes/{round}_{number}", {**ROUTE, **limited(number, group=f"g{round}")})
                for number, api in enumerate(pair, 1)
            )
        )
        assert sorted(answer.status for answer in answers) == [201, 400], [answer.raw for answer in answers]


async def test_a_file_logger_needs_a_path_of_its_own_or_of_its_metadata(api: Client) -> None:
    route = {**ROUTE, "plugins": {"file-logger": {}}}
    refused = await api.put("routes/1", route)
    assert (refused.status, refused.error) == (400, PATH)
    await api.must_put("routes/1", {**ROUTE, "plugins": {"file-logger": {"path": "/tmp/a"}}})
    await api.must_put("plugin_metadata/file-logger", {"path": "/tmp/b"})
    await api.must_put("routes/1", route)
