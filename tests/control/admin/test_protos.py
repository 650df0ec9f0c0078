"""Protos."""

from tests.control.admin.conftest import Client

PROTO = {"content": 'syntax = "proto3";\npackage p;\nmessage A { string a = 1; }', "desc": "d"}


async def test_a_source_is_stored_as_it_came(api: Client) -> None:
    created = await api.post("protos", PROTO)
    assert created.status == 201 and len(created.value["id"]) == 20
    shown = (await api.get(f"protos/{created.value['id']}")).value
    assert (shown["content"], shown["desc"]) == (PROTO["content"], "d")
    assert (await api.get("protos")).json["total"] == 1
