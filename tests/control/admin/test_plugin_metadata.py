"""Plugin metadata over HTTP."""

from tests.control.admin.conftest import Client


async def test_metadata_is_stored_under_the_plugins_name_without_times(api: Client) -> None:
    made = await api.put("plugin_metadata/example-plugin", {"skey": "a", "ikey": 1})
    assert made.status == 201
    assert made.json == {
        "key": "/apisix/plugin_metadata/example-plugin",
        "value": {"skey": "a", "ikey": 1, "id": "example-plugin"},
    }
    assert (await api.get("plugin_metadata/example-plugin")).value == made.value
    assert (await api.get("plugin_metadata")).json["total"] == 1
    assert (await api.delete("plugin_metadata/example-plugin")).json["deleted"] == "1"


async def test_what_is_no_metadata_is_refused(api: Client) -> None:
    assert (await api.put("plugin_metadata", {"k": 1})).error == "missing plugin name"
    assert (await api.put("plugin_metadata/x", {})).error == "invalid plugin name"
    assert (await api.put("plugin_metadata/example-plugin", {})).status == 400
    assert (await api.post("plugin_metadata", {"k": 1})).error == "not supported `POST` method for plugin_metadata"
    assert (await api.patch("plugin_metadata/example-plugin", {"k": 1})).status == 405
