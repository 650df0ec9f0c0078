"""Consumer groups."""

from tests.control.admin.conftest import Client

DOC = {"plugins": {"sticky": {"ttl": 5}}, "labels": {"env": "a"}}


async def test_plugins_are_patched_whole_or_at_a_path(api: Client) -> None:
    created = await api.put("consumer_groups/company_a", DOC)
    assert (created.status, created.json["key"]) == (201, "/apisix/consumer_groups/company_a")
    merged = await api.patch("consumer_groups/company_a", {"plugins": {"sticky": {"path": "/a"}}})
    assert merged.value["plugins"] == {"sticky": {"ttl": 5, "path": "/a"}}
    replaced = await api.patch("consumer_groups/company_a/plugins", {"sticky": {}})
    assert (replaced.value["plugins"], replaced.value["labels"]) == ({"sticky": {}}, {"env": "a"})
    assert (await api.patch("consumer_groups/company_a/plugins/sticky/ttl", 0)).status == 400
    assert (await api.get("consumer_groups/company_a")).value == replaced.value
