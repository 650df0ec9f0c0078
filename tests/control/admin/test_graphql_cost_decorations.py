"""GraphQL cost decorations, below their services."""

import asyncio

import pytest

from control.store.base import Delete, Put, Store
from tests.control.admin.conftest import Client

NOT_FOUND = {"message": "Key not found"}
COST = {"field_path": "Query.products", "mul_arguments": ["first"]}
ALL = "services/s1/graphql_cost_decorations"


@pytest.fixture
async def service(api: Client) -> None:
    await api.must_put("services/s1", {})


@pytest.mark.usefixtures("service")
async def test_the_life_of_a_decoration(api: Client, store: Store) -> None:
    created = await api.put(f"{ALL}/d1", {**COST, "id": "d1"})
    assert (created.status, created.json["key"]) == (201, f"/apisix/{ALL}/d1")
    times = {name: created.value[name] for name in ("create_time", "update_time")}
    assert created.value == {**COST, "id": "d1", "service_id": "s1", **times}
    got = (await api.get(f"{ALL}/d1")).json
    assert got["value"] == created.value and {"createdIndex", "modifiedIndex"} < got.keys()
    assert (await api.put(f"{ALL}/d1", got["value"])).status == 200
    patched = await api.patch(f"{ALL}/d1", {"add_value": 5, "mul_arguments": None})
    assert (patched.status, patched.value["add_value"], "mul_arguments" in patched.value) == (200, 5, False)
    assert (await api.patch(f"{ALL}/d1/add_value", 7)).value["add_value"] == 7
    deleted = await api.delete(f"{ALL}/d1")
    assert (deleted.status, deleted.json) == (200, {"key": f"/apisix/{ALL}/d1", "deleted": "1"})
    assert await store.get(f"/apisix/{ALL}/d1") is None


@pytest.mark.usefixtures("service")
async def test_what_is_not_there_is_not_found(api: Client) -> None:
    for method, path, body in (
        *(("GET", ALL, None), ("GET", f"{ALL}/d1", None), ("DELETE", f"{ALL}/d1", None)),
        ("PATCH", f"{ALL}/d1", {}),
    ):
        missing = await api.ask(method, path, body)
        assert (missing.status, missing.json) == (404, NOT_FOUND)


@pytest.mark.usefixtures("service")
async def test_a_post_makes_the_id(api: Client) -> None:
    created = await api.post(ALL, COST)
    assert (created.status, len(created.value["id"]), created.value["service_id"]) == (201, 20, "s1")
    assert (await api.get(f"{ALL}/{created.value['id']}")).value == created.value


@pytest.mark.usefixtures("service")
async def test_lists_are_of_one_service_and_services_are_listed_without_them(api: Client) -> None:
    await api.must_put("services/s10", {})
    for path in (f"{ALL}/b", "services/s10/graphql_cost_decorations/x"):
        await api.must_put(path, COST)
    await api.must_put(ALL, {"id": "a", "field_path": "Product"})
    listed = (await api.get(ALL)).json
    assert ([item["value"]["id"] for item in listed["list"]], listed["total"]) == (["a", "b"], 2)
    services = (await api.get("services")).json
    assert [item["key"] for item in services["list"]] == ["/apisix/services/s1", "/apisix/services/s10"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_without_its_service_there_is_none(api: Client, store: Store, method: str) -> None:
    before = await store.range("/")
    answer = await api.ask(method, ALL, {**COST, **({"id": "d"} if method == "PUT" else {})})
    assert (answer.status, answer.json) == (404, {"error_msg": "service not found"})
    assert await store.range("/") == before


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("PUT", f"{ALL}/d2", COST, "field_path Query.products is already decorated on this service by [d1]"),
        ("POST", ALL, COST, "field_path Query.products is already decorated on this service by [d1]"),
        ("PUT", f"{ALL}/d2", {**COST, "service_id": "s2"}, "wrong service_id, it is taken from the path"),
        ("PATCH", f"{ALL}/d1", {"service_id": "s1"}, "service_id can not be patched"),
        ("PATCH", f"{ALL}/d1/service_id", "s2", "wrong service_id, it is taken from the path"),
        ("PUT", f"{ALL}/d2", {"field_path": "A", "id": "d3"}, "wrong graphql cost decoration id"),
        ("PUT", ALL, {"field_path": "A"}, "missing graphql cost decoration id"),
        ("DELETE", ALL, None, "missing graphql cost decoration id"),
        ("POST", f"{ALL}/d2", {"field_path": "A"}, "wrong graphql cost decoration id, do not need it"),
        ("PUT", "services//graphql_cost_decorations/d", COST, "missing service id"),
        ("GET", "services//graphql_cost_decorations", None, "missing service id"),
        ("PUT", f"{ALL}/d2", {}, 'invalid configuration: property "field_path" is required'),
    ],
)
async def test_it_is_refused_and_named(
    api: Client, store: Store, method: str, path: str, body: object, text: str
) -> None:
    await api.must_put(f"{ALL}/d1", COST)
    before = await store.range("/")
    answer = await api.ask(method, path, body)
    assert (answer.status, answer.json) == (400, {"error_msg": text})
    assert await store.range("/") == before


@pytest.mark.usefixtures("service")
async def test_a_patch_does_not_take_anothers_field_path(api: Client) -> None:
    await api.must_put(f"{ALL}/d1", COST)
    await api.must_put(f"{ALL}/d2", {"field_path": "Product"})
    answer = await api.patch(f"{ALL}/d2", {"field_path": "Query.products"})
    assert (answer.status, answer.error) == (
        400,
        "field_path Query.products is already decorated on this service by [d1]",
    )
    await api.must_put("services/s2", {})
    assert (await api.put("services/s2/graphql_cost_decorations/d2", COST)).status == 201


@pytest.mark.usefixtures("service")
async def test_there_are_only_so_many(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.admin.graphql_cost_decorations.MAX_DECORATIONS", 2)
    for name in ("a", "b"):
        await api.must_put(f"{ALL}/{name}", {"field_path": name})
    refused = await api.put(f"{ALL}/c", {"field_path": "c"})
    assert (refused.status, "more are not taken" in refused.error) == (400, True)
    assert (await api.put(f"{ALL}/b", {"field_path": "c"})).status == 200


@pytest.mark.usefixtures("service")
async def test_a_service_takes_its_decorations_with_it(api: Client, store: Store) -> None:
    await api.must_put("services/s10", {})
    await api.must_put(f"{ALL}/d1", COST)
    await api.must_put("services/s10/graphql_cost_decorations/d1", COST)
    await api.must_put("services/s1", {"desc": "replaced"})
    assert (await api.get(f"{ALL}/d1")).status == 200
    assert (await api.delete("services/s1")).status == 200
    entries, _ = await store.range("/apisix/services/")
    assert [entry.key for entry in entries] == [
        "/apisix/services/s10",
        "/apisix/services/s10/graphql_cost_decorations/d1",
    ]


@pytest.mark.usefixtures("service")
async def test_a_new_service_has_none_of_its_namesakes(api: Client, store: Store) -> None:
    await api.must_put(f"{ALL}/d1", COST)
    # As when its ttl runs out.
    await store.txn([], [Delete("/apisix/services/s1")])
    await api.must_put("services/s1", {})
    assert (await api.get(ALL)).json == NOT_FOUND


@pytest.mark.usefixtures("service")
async def test_what_others_wrote_there_is_no_harm(api: Client, store: Store) -> None:
    await store.txn([], [Put(f"/apisix/{ALL}/x", b"no json"), Put(f"/apisix/{ALL}/y", b"[]")])
    await api.must_put(f"{ALL}/d1", COST)
    assert (await api.get(ALL)).json["total"] == 1


async def test_a_decoration_never_outlives_its_service_in_a_race(pair: tuple[Client, Client]) -> None:
    one, two = pair
    for round in range(8):
        await one.must_put("services/s1", {})
        await asyncio.gather(one.put(f"{ALL}/d1", {**COST, "desc": f"{round}"}), two.delete("services/s1"))
        await two.delete("services/s1")
        assert (await one.get(f"{ALL}/d1")).status == 404


async def test_of_two_at_once_only_one_gets_the_field_path(pair: tuple[Client, Client]) -> None:
    one, two = pair
    for round in range(8):
        await one.must_put(f"services/{round}", {})
        path = f"services/{round}/graphql_cost_decorations"
        answers = await asyncio.gather(one.put(f"{path}/a", COST), two.put(f"{path}/b", COST))
        assert sorted(answer.status for answer in answers) == [201, 400]
        assert (await one.get(path)).json["total"] == 1
