"""Which plugins there are, over HTTP."""

import pytest

from tests.control.admin.conftest import Client


async def test_the_list_is_sorted_by_priority_and_holds_what_is_on_by_default(api: Client) -> None:
    names = (await api.get("plugins/list")).json
    assert (
        names.index("real-ip") < names.index("cors") < names.index("key-auth") < names.index("serverless-post-function")
    )
    assert "server-info" not in names and "ai-proxy" in names
    assert set((await api.get("plugins/list?subsystem=stream")).json) == {
        *("ip-restriction", "limit-conn", "mqtt-proxy", "traffic-split", "prometheus", "syslog")
    }


async def test_one_schema_is_served_with_what_every_plugin_takes(api: Client) -> None:
    schema = (await api.get("plugins/key-auth")).json
    assert schema["properties"]["_meta"]["properties"].keys() >= {"disable", "priority", "filter", "error_response"}
    assert schema["$comment"] == "this is a mark for our injected plugin schema"
    consumer = (await api.get("plugins/key-auth?schema_type=consumer")).json
    assert consumer["required"] == ["key"] and consumer["encrypt_fields"] == ["key"]
    assert (await api.get("schema/plugins/key-auth")).json == schema


async def test_all_of_them_are_described(api: Client) -> None:
    described = (await api.get("plugins?all=true")).json
    assert described["basic-auth"]["type"] == "auth" and described["basic-auth"]["priority"] == 2520
    assert described["sticky"]["schema"]["properties"].keys() > {"cookie", "ttl"}
    assert "mqtt-proxy" in (await api.get("plugins?all=true&subsystem=stream")).json


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "plugins/x", 404, '{"error_msg":"plugin not found in subsystem http"}\n'),
        ("GET", "plugins/csrf?subsystem=stream", 404, '{"error_msg":"plugin not found in subsystem stream"}\n'),
        ("GET", "plugins/csrf?subsystem=x", 400, '{"error_msg":"unsupported subsystem: x"}\n'),
        ("GET", "plugins/csrf?schema_type=consumer", 400, '{"error_msg":"not found schema"}\n'),
        ("GET", "plugins/list?subsystem=x", 400, "invalid subsystem passed"),
        ("PUT", "plugins/reload", 200, "done"),
        ("GET", "plugins/reload", 405,
         '{"error_msg":"please use PUT method to reload the plugins, GET method is not allowed."}\n'),
        ("PUT", "plugins/list", 404, '{"error_msg":"not found"}\n'),
    ],
)  # fmt: skip
async def test_other_questions_are_refused(api: Client, method: str, path: str, status: int, body: str) -> None:
    answer = await api.ask(method, path)
    assert (answer.status, answer.raw.decode()) == (status, body)


async def test_nobody_reads_plugins_without_a_key(api: Client) -> None:
    assert (await api.ask("GET", "plugins/list", key=None)).status == 401
