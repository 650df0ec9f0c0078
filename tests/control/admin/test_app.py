"""Paths, methods, headers and failures of the application as a whole."""

from typing import Any

import pytest

from control.store.base import Put, Store, StoreUnavailable
from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:8080": 1}, "type": "roundrobin"}
ROUTE = {"uri": "/a", "upstream": UPSTREAM}


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/apisix/admin/nothing", "Unsupported resource type: nothing"),
        ("PUT", "/apisix/admin/vpcs/1", "Unsupported resource type: vpcs"),
        ("GET", "/unilb/routes", "Unsupported resource type: routes"),
        ("GET", "/apisix/admin/", "Unsupported resource type: "),
        ("TRACE", "/apisix/admin/routes/1", "not found"),
        ("PUT", "/unilb/status", "not found"),
        ("GET", "/apisix/admin", "not found"),
        ("GET", "/apisix/elsewhere", "404 Not Found"),
    ],
)
async def test_unknown_paths_and_methods(api: Client, method: str, path: str, text: str) -> None:
    answer = await api.ask(method, path)
    assert (answer.status, answer.json) == (404, {"error_msg": text})


async def test_every_answer_says_which_server_and_version(api: Client) -> None:
    answer = await api.get("routes")
    assert answer.headers["Server"] == "APISIX/3.18.0 unilb/0.1"
    assert answer.headers["X-API-VERSION"] == "v3"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_head_and_preflight_need_no_key(api: Client) -> None:
    assert (await api.ask("HEAD", "/apisix/admin", key=None)).status == 200
    preflight = await api.ask("OPTIONS", "routes/1", key=None)
    assert preflight.status == 200
    assert preflight.headers["Access-Control-Allow-Methods"] == "POST, GET, PUT, OPTIONS, DELETE, PATCH"


async def test_the_content_type_is_ignored_and_control_characters_pass(api: Client) -> None:
    raw = b'{"uri":"/a","desc":"two\nlines","priority":5.0,"upstream":{"nodes":{}}}'
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.ask("PUT", "routes/1", raw, headers=headers)
    assert answer.status == 201
    assert answer.value["desc"] == "two\nlines" and b'"priority":5,' in answer.raw


async def test_any_script_survives(api: Client) -> None:
    value = await api.must_put("routes/1", {**ROUTE, "name": "Маршрут 路由 🚀"})
    assert (await api.get("routes/1")).value == value


async def test_placeholders_of_apisix_and_foreign_keys_do_not_show(api: Client, store: Store) -> None:
    await store.txn([], [Put("/apisix/routes/", b"init_dir"), Put("/apisix/routes/x/y", b"{}")])
    await store.txn([], [Put("/apisix/routes/broken", b"{not json")])
    await api.must_put("routes/1", ROUTE)
    assert [item["key"] for item in (await api.get("routes")).json["list"]] == ["/apisix/routes/1"]
    broken = await api.get("routes/broken")
    assert (broken.status, broken.error) == (500, "/apisix/routes/broken: what is stored is no JSON object")
    assert (await api.put("routes/broken", ROUTE)).status == 200


class FailingStore:
    """A store that does not answer."""

    def __getattr__(self, _: str) -> Any:
        async def fail(*_: object) -> None:
            raise StoreUnavailable("http://10.0.0.5:2379: connection refused")

        return fail


async def test_without_the_store_everything_says_503(
    api: Client, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    await api.must_put("routes/1", ROUTE)
    for name in ("get", "range", "txn"):
        monkeypatch.setattr(store, name, getattr(FailingStore(), name))
    for method, path, body in (
        *(("GET", "routes", None), ("GET", "routes/1", None), ("PUT", "routes/1", ROUTE), ("POST", "routes", ROUTE)),
        *(("PATCH", "routes/1", {}), ("DELETE", "routes/1", None), ("GET", "/unilb/status", None)),
    ):
        answer = await api.ask(method, path, body)
        assert answer.status == 503
        assert answer.error == "http://10.0.0.5:2379: connection refused"
    monkeypatch.undo()
    assert (await api.get("routes/1")).status == 200


async def test_an_error_of_ours_shows_nothing_and_stops_nothing(
    api: Client, monkeypatch: pytest.MonkeyPatch, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as broken:
        broken.setattr(store, "get", fail)
        answer = await api.get("routes/1")
    assert (answer.status, answer.json) == (500, {"error_msg": "internal error"})
    assert "secret detail" in capfd.readouterr().err
    assert (await api.get("routes")).status == 200


async def test_a_line_break_behind_an_id_is_not_passed_over(api: Client) -> None:
    assert (await api.get("routes/1%0A")).status == 404
