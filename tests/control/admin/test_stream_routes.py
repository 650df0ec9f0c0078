"""Stream routes."""

from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:80": 1}}


async def test_they_are_made_listed_and_filtered(api: Client) -> None:
    await api.must_put("services/s", {})
    created = await api.post("stream_routes", {"remote_addr": "127.0.0.1", "upstream": UPSTREAM})
    assert created.status == 201 and len(created.value["id"]) == 20
    assert created.json["key"] == f"/apisix/stream_routes/{created.value['id']}"
    await api.must_put("stream_routes/1", {"server_port": 9100, "service_id": "s"})
    listed = (await api.get("stream_routes?filter=service_id%3Ds")).json
    assert [item["value"]["id"] for item in listed["list"]] == ["1"] and listed["total"] == 1
    assert (await api.get("stream_routes")).json["total"] == 2


async def test_an_id_of_a_service_must_exist(api: Client) -> None:
    answer = await api.put("stream_routes/1", {"service_id": "none", "upstream": UPSTREAM})
    assert (answer.status, answer.error) == (
        400,
        "failed to fetch service info by service id [none], response code: 404",
    )
