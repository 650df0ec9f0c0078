"""Secret managers: their ids carry the manager's name."""

from typing import Any

import pytest

from tests.control.admin.conftest import Client

VAULT = {"uri": "https://127.0.0.1:8200", "prefix": "kv/apisix", "token": "apisix"}
AWS = {"access_key_id": "a", "secret_access_key": "b", "region": "eu-west-1", "endpoint_url": "http://127.0.0.1:4566"}
GCP = {"auth_config": {"client_email": "a@b", "private_key": "k", "project_id": "p"}, "ssl_verify": False}


@pytest.mark.parametrize(
    ("manager", "doc"), [("vault", VAULT), ("aws", AWS), ("gcp", GCP), ("gcp", {"auth_file": "f"})]
)
async def test_the_life_of_a_secret(api: Client, manager: str, doc: dict[str, Any]) -> None:
    path = f"secrets/{manager}/test1"
    created = await api.put(path, doc)
    assert (created.status, created.json["key"]) == (201, f"/apisix/{path}")
    assert created.value["id"] == f"{manager}/test1"
    assert (await api.put(path, created.value)).status == 200
    assert (await api.get(path)).value["id"] == f"{manager}/test1"
    patched = await api.patch(path, {"extra": "x"})
    assert (patched.status, patched.value["extra"], patched.value["id"]) == (200, "x", f"{manager}/test1")
    assert (await api.patch(f"{path}/extra", "y")).value["extra"] == "y"
    assert (await api.delete(path)).json == {"key": f"/apisix/{path}", "deleted": "1"}
    assert (await api.get(path)).status == 404


async def test_a_list_has_all_managers(api: Client) -> None:
    await api.must_put("secrets/vault/1", VAULT)
    await api.must_put("secrets/aws/1", AWS)
    listed = (await api.get("secrets")).json
    assert [item["value"]["id"] for item in listed["list"]] == ["aws/1", "vault/1"] and listed["total"] == 2
    assert [item["value"]["id"] for item in (await api.get("secrets/vault")).json["list"]] == ["vault/1"]


async def test_nothing_is_an_empty_list(api: Client) -> None:
    assert (await api.get("secrets")).json == {"list": [], "total": 0}


@pytest.mark.parametrize(
    ("method", "path", "says"),
    [
        ("DELETE", "secrets/vault", "no secret id"),
        ("PATCH", "secrets/vault", "no secret id"),
        ("DELETE", "secrets", "missing secret id"),
        ("PATCH", "secrets/vault/1", "wrong secret id"),
    ],
)
async def test_ids(api: Client, method: str, path: str, says: str) -> None:
    await api.must_put("secrets/vault/1", VAULT)
    answer = await api.ask(method, path, {"id": "aws/1"})
    assert (answer.status, answer.error) == (400, says)
