"""The Control API as a whole."""

import pytest

from control.control_api.app import build
from control.store.base import Store
from tests.control.control_api.conftest import Ask


async def test_all_schemas_come_in_one_answer(ask: Ask) -> None:
    schemas = (await ask("/v1/schema")).json
    assert schemas["main"]["route"]["type"] == "object" and schemas["main"]["plugins"]["type"] == "array"
    assert schemas["plugins"]["cors"]["priority"] == 4000
    assert "mqtt-proxy" in schemas["stream_plugins"] and "mqtt-proxy" not in schemas["plugins"]


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", "/v1/gc", 200, b""),
        ("PUT", "/v1/plugins/reload", 200, b"done"),
        ("GET", "/v1/plugins/reload", 404, b'{"error_msg":"not found"}\n'),
        ("GET", "/v1/discovery/dns/dump", 404, b'{"error_msg":"not found"}\n'),
        ("GET", "/v1/plugin/example-plugin/hello", 200, b"world\n"),
        ("GET", "/v1/plugin/example-plugin/hello?json", 200, b'{"msg":"world"}\n'),
    ],
)
async def test_small_answers(ask: Ask, method: str, path: str, status: int, body: bytes) -> None:
    answer = await ask(path, method)
    assert (answer.status, answer.raw) == (status, body)


async def test_a_store_that_is_away_is_said(ask: Ask, store: Store) -> None:
    await store.close()
    assert (await ask("/v1/routes")).status == 503
    assert build(store) is not None
