"""The OpenAPI document and the handlers say the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from control.admin import body as admin_body
from control.admin.app import APISIX, PAGES, build
from control.admin.audit import AuditLog
from control.admin.auth import AdminKey
from control.admin.limits import RateLimit
from control.allocate.pool import Pools
from control.store.base import Store, StoreUnavailable
from tests.control.admin.conftest import KEY
from tests.control.admin.documented import (
    DOCUMENT,
    OPERATIONS,
    SPACES,
    check_documented,
    good_body,
    place,
    with_status,
)
from tests.control.admin.in_process import EXAMPLES, application, ask, put_all


@pytest.fixture
async def app(store: Store, tmp_path: Path) -> AsyncIterator[ASGIApp]:
    with AuditLog(str(tmp_path / "audit.log")) as audit:
        yield application(store, audit)


def test_the_document_is_openapi_3_1() -> None:
    validate(DOCUMENT)


def test_its_schemas_are_valid_themselves() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_it_is_served_without_a_key(app: ASGIApp) -> None:
    said = await ask(app, "GET", "/openapi.json", key=None)
    assert (said.status, said.json) == (200, DOCUMENT)
    assert (await ask(app, "PUT", "/openapi.json")).status == 404


async def test_every_route_is_in_the_document_and_nothing_else(app: ASGIApp) -> None:
    """Every path of the document lies below a route of the application, and every route has paths."""
    assert isinstance(app, Starlette)
    routes = [route.path.removesuffix("{rest:path}") for route in app.routes if isinstance(route, Route)]
    assert len(routes) == len(app.routes)
    left = set(DOCUMENT["paths"])
    for route in routes:
        below = {path for path in left if path == route or (route.endswith("/") and path.startswith(route))}
        assert below, route
        left -= below
    assert not left
    words = {path.split("/")[3] for path in DOCUMENT["paths"] if path.startswith("/apisix/admin/")}
    assert words == {resource.collection for resource in APISIX} | PAGES.keys()
    ours = {path.split("/")[2] for path in DOCUMENT["paths"] if path.startswith("/unilb/")}
    assert ours == {resource.collection for resource in SPACES["/unilb"]} | {"status"}


async def test_a_method_is_in_the_document_or_refused(app: ASGIApp) -> None:
    for path in DOCUMENT["paths"]:
        # Behind an id every method but PATCH leaves the rest of the path unread, as APISIX does.
        for method in () if path.endswith("/{path}") else ("PUT", "POST", "PATCH", "DELETE", "PROPFIND"):
            if method.lower() not in DOCUMENT["paths"][path]:
                said = await ask(app, method, place(path)[1], good_body(path, "POST"))
                assert said.status in (400, 404, 405), (method, path, said)


async def test_every_good_status_is_what_handlers_give(app: ASGIApp) -> None:
    seen: set[tuple[str, str, int]] = set()

    async def go(method: str, path: str, query: str = "") -> None:
        said = await ask(app, method, place(path)[1] + query, good_body(path, method))
        check_documented(said, path, method)
        seen.add((path, method, said.status))

    paths: dict[str, list[str]] = {collection: [] for collection in EXAMPLES}
    for path, item in DOCUMENT["paths"].items():
        if "put" in item and place(path)[0] in EXAMPLES:
            paths[place(path)[0]].append(path)
    # What is referred to comes first, and goes last.
    for collection, places in paths.items():
        for path in places:
            await ask(app, "DELETE", f"{collection}/{EXAMPLES[collection][0]}")
            await go("PUT", path)
            await go("PUT", path)
    for path, method, _ in OPERATIONS:
        if method in ("GET", "HEAD", "PATCH") or place(path)[0] not in EXAMPLES:
            await go(method, path, "?all=true" if path.endswith("plugins") else "")
    for places in reversed(paths.values()):
        await go("DELETE", places[-1], "?force=true")
        if "post" in DOCUMENT["paths"][places[0]]:
            await go("POST", places[0])
    wanted = {
        (path, method, int(status))
        for path, method, operation in OPERATIONS
        for status in operation["responses"]
        if status.startswith("2")
    }
    missing = wanted - seen
    assert not missing


async def test_bad_bodies_and_queries_give_400(app: ASGIApp) -> None:
    await put_all(app)
    for path, method in with_status(400):
        if method == "GET":
            if place(path)[0] in EXAMPLES or path.endswith("secrets"):
                said = await ask(app, method, place(path)[1] + "?page_size=1")
                assert said.status == 400
                check_documented(said, path, method)
        elif method != "DELETE":
            said = await ask(app, method, place(path)[1], b"[")
            assert said.status == 400, (method, path, said)
            check_documented(said, path, method)


async def test_what_is_missing_gives_404(app: ASGIApp) -> None:
    for path, method in with_status(404):
        if "{" in path:
            said = await ask(app, method, place(path)[1], good_body(path, method))
            if said.status != 404:
                # No object can be called so.
                said = await ask(app, method, place(path)[1] + "\nb", good_body(path, method))
            assert said.status == 404, (method, path, said)
            check_documented(said, path, method)


async def test_a_method_that_is_lacking_gives_405(app: ASGIApp) -> None:
    for path, method in with_status(405):
        said = await ask(app, method, place(path)[1], good_body(path, method))
        assert said.status == 405, (method, path, said)
        check_documented(said, path, method)


async def test_without_a_key_it_is_401(app: ASGIApp) -> None:
    assert {path for path, *_ in OPERATIONS} - {path for path, _ in with_status(401)} == {
        "/apisix/admin",
        "/openapi.json",
    }
    for path, method in with_status(401):
        said = await ask(app, method, place(path)[1], good_body(path, method), key=None)
        assert said.status == 401, (method, path, said)
        check_documented(said, path, method)


async def test_too_many_requests_give_429(app: ASGIApp) -> None:
    limited = RateLimit(app, (AdminKey("admin", KEY, "admin"),), 0.001)
    await ask(limited, "GET", "/openapi.json")
    assert len(with_status(429)) == len(OPERATIONS)
    for path, method in with_status(429):
        said = await ask(limited, method, place(path)[1], good_body(path, method))
        assert (said.status, "retry-after" in said.headers) == (429, True)
        check_documented(said, path, method)


async def test_a_body_that_does_not_come_gives_408(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_body, "READ_TIMEOUT", 0.001)

    async def stalled(scope: Any, receive: Any, send: Any) -> None:
        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        await app(scope, never, send)

    for path, method in with_status(408):
        said = await ask(stalled, method, place(path)[1], {})
        assert said.status == 408, (method, path, said)
        check_documented(said, path, method)


class DownStore(Store):
    """Never answers."""

    async def range(self, prefix: str) -> Any:
        raise StoreUnavailable("it is down")

    async def get(self, key: str) -> Any:
        raise StoreUnavailable("it is down")

    async def txn(self, compares: Any, ops: Any) -> Any:
        raise StoreUnavailable("it is down")

    def watch(self, prefixes: Any, from_revision: int) -> Any:
        raise StoreUnavailable("it is down")

    async def close(self) -> None:
        return None


async def test_a_store_that_is_down_gives_503(tmp_path: Path) -> None:
    with AuditLog(str(tmp_path / "audit.log")) as audit:
        await ask_for_everything(build(DownStore(), (AdminKey("admin", KEY, "admin"),), audit, Pools()))
    rest = {path for path, *_ in OPERATIONS} - {path for path, _ in with_status(503)}
    assert all(
        path.split("/")[-1] == "admin"
        or "validate" in path
        or "plugins" in path
        or "schema" in path
        or path == "/openapi.json"
        for path in rest
    )


async def ask_for_everything(app: ASGIApp) -> None:
    for path, method in with_status(503):
        said = await ask(app, method, place(path)[1], good_body(path, method))
        assert said.status == 503, (method, path, said)
        check_documented(said, path, method)
