"""The pages that are no objects: each call gives what the document says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from control.admin.audit import AuditLog
from control.admin.openapi_pages import FIXED, PAGES
from control.store.base import Store
from tests.control.admin.documented import DOCUMENT, check_documented
from tests.control.admin.in_process import application, ask

# Other calls that give a documented status: how the sweep below asks for it would not.
CALLS: list[tuple[str, str, str, object, int]] = [
    ("GET", "/apisix/admin/plugins", "?all=true", None, 200),
    ("GET", "/apisix/admin/plugins", "", None, 404),
    ("GET", "/apisix/admin/plugins", "?subsystem=x", None, 400),
    ("GET", "/apisix/admin/plugins/list", "?subsystem=x", None, 400),
    ("GET", "/apisix/admin/plugins/{name}", "/no-such", None, 404),
    ("GET", "/apisix/admin/plugins/{name}", "/key-auth?subsystem=x", None, 400),
    ("GET", "/apisix/admin/schema/{kind}", "/no-such", None, 400),
    ("GET", "/apisix/admin/schema/plugins/{name}", "/no-such", None, 404),
    ("GET", "/apisix/admin/schema/plugins/{name}", "/cors?schema_type=metadata", None, 200),
    ("GET", "/apisix/admin/schema/plugins/{name}", "/key-auth?schema_type=metadata", None, 400),
    ("POST", "/apisix/admin/schema/validate/{collection}", "/no-such", {}, 404),
    ("POST", "/apisix/admin/configs/validate", "", {"routes": [{}]}, 400),
]


@pytest.fixture
async def app(store: Store, tmp_path: Path) -> AsyncIterator[ASGIApp]:
    with AuditLog(str(tmp_path / "audit.log")) as audit:
        yield application(store, audit)


@pytest.mark.parametrize(("method", "path", "more", "body", "status"), CALLS)
async def test_a_call_gives_the_documented_status(
    app: ASGIApp, method: str, path: str, more: str, body: object, status: int
) -> None:
    said = await ask(app, method, path.partition("/{")[0] + more, body)
    assert said.status == status
    check_documented(said, path, method)


def test_all_of_them_are_in_the_document() -> None:
    assert PAGES.keys() | FIXED.keys() <= DOCUMENT["paths"].keys()
