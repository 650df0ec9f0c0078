"""Keys: where they may stand, who may do what, and that they show nowhere."""

from pathlib import Path

import pytest

from control.admin.auth import AdminKey
from tests.control.admin.conftest import KEY, VIEWER, Client

ROUTE = {"uri": "/a", "plugins": {}}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("routes", {"X-API-KEY": KEY}),
        ("routes", {"x-api-key": KEY}),
        ("routes", {"x_api_key": KEY}),
        (f"routes?api_key={KEY}", {}),
        ("routes", {"Cookie": f"x_api_key={KEY}"}),
    ],
)
async def test_the_key_may_stand_in_header_query_or_cookie(api: Client, path: str, headers: dict[str, str]) -> None:
    assert (await api.ask("GET", path, key=None, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("key", "description"),
    [
        (None, "missing apikey"),
        ("", "missing apikey"),
        ("the-admin-kez", "wrong apikey"),
        ("ключ", "wrong apikey"),
        ("x" * 8000, "wrong apikey"),
    ],
)
async def test_without_the_right_key_nothing_is_done(api: Client, key: str | None, description: str) -> None:
    for path in ("routes", "routes/1", "nothing", "/unilb/vpcs", "/unilb/status"):
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE", "TRACE"):
            answer = await api.ask(method, path, b"{}" if method != "TRACE" else None, key=key)
            assert answer.status == 401
            assert answer.json == {"error_msg": "failed to check token", "description": description}
    assert (await api.get("routes")).json["total"] == 0


async def test_a_viewer_reads_and_does_not_write(api: Client) -> None:
    assert (await api.ask("GET", "routes", key=VIEWER)).status == 200
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        answer = await api.ask(method, "routes/1", ROUTE, key=VIEWER)
        assert (answer.status, answer.json["description"]) == (401, "invalid method for role viewer")


async def test_keys_show_neither_in_logs_nor_in_their_own_repr(
    api: Client, audit_log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await api.ask("PUT", f"routes/1?api_key={KEY}", ROUTE, key=None)
    await api.ask("PUT", "routes/1", ROUTE, key="a-wrong-key")
    assert KEY not in repr(AdminKey("admin", KEY, "admin"))
    output = capfd.readouterr()
    assert KEY not in output.out + output.err and "a-wrong-key" not in output.out + output.err
