"""Every plugin takes what it should and says what is wrong with the rest."""

import copy
import json
from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.plugins import PLUGINS, check_plugins
from tests.control.admin.apisix_cases import ROOT
from tests.control.model.plugins.rows import ROWS

REFERENCE = ROOT.parent / "shared" / "research" / "apisix_schemas.json"


def test_every_plugin_of_routes_has_its_row() -> None:
    assert ROWS.keys() == {name for name, plugin in PLUGINS.items() if "route" in plugin.schemas}


@pytest.mark.parametrize("name", ROWS)
def test_a_good_configuration_passes_and_stays_as_it_is(name: str) -> None:
    good = ROWS[name][0]
    conf = {**copy.deepcopy(good), "_meta": {"priority": 1, "filter": [["arg_a", "==", "b"]], "error_response": "x"}}
    check_plugins({name: conf})
    assert {field: value for field, value in conf.items() if field != "_meta"} == good


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_configuration_is_refused_with_the_plugins_name(name: str) -> None:
    _, bad, error = ROWS[name]
    if isinstance(bad, list):
        assert PLUGINS[name].problem(bad, "route", PLUGINS) == error
        return
    with pytest.raises(ModelError) as refusal:
        check_plugins({name: bad})
    assert str(refusal.value).startswith(f"failed to check the configuration of plugin {name} err: {error}")


@pytest.mark.parametrize(
    ("name", "conf", "error"),
    [
        ("jwt-auth", {"key": "k", "secret": "?", "base64_secret": True},
         "base64_secret required but the secret is not in base64 format"),
        ("jwt-auth", {"key": "k", "algorithm": "RS256"}, 'failed to validate dependent schema for "algorithm": '),
        ("jwe-decrypt", {"key": "k", "secret": "short"}, "the secret length should be 32 chars"),
        ("jwe-decrypt", {"key": "k", "secret": "YQ==", "is_base64_encoded": True},
         "the secret length after base64 decode should be 32 chars"),
        ("key-auth", {}, 'property "key" is required'),
        ("ldap-auth", {"user_dn": 1}, 'property "user_dn" validation failed'),
    ],
)  # fmt: skip
def test_consumers_say_what_they_are_known_by(name: str, conf: dict[str, Any], error: str) -> None:
    with pytest.raises(ModelError) as refusal:
        check_plugins({name: conf}, "consumer")
    assert f"err: {error}" in str(refusal.value)


_REDIS = {"policy": "redis", "redis_host": "ho"}


@pytest.mark.parametrize(
    ("conf", "error"),
    [
        ({"count": 1, "time_window": 1, "sync_interval": 0.05, **_REDIS},
         "sync_interval should not be smaller than 0.1"),
        ({"count": 1, "time_window": 1, "sync_interval": 2, **_REDIS},
         "sync_interval should be smaller than time_window"),
        ({"count": 1, "time_window": "$http_window", "sync_interval": 2, **_REDIS}, None),
        ({"count": 1, "time_window": 1, "sync_interval": -1, **_REDIS}, None),
        ({"count": 1, "time_window": 1, "sync_interval": 0.05}, None),
        ({"group": "g", "rules": [{"count": 1, "time_window": 1, "key": "a"}]},
         "group and rules cannot be specified at the same time"),
        ({"rules": [{"count": 1, "time_window": 1, "key": "a"}] * 2}, "duplicate key 'a' in rules"),
    ],
)  # fmt: skip
def test_limit_count_says_what_does_not_go_together(conf: dict[str, Any], error: str | None) -> None:
    assert PLUGINS["limit-count"].problem(conf, "route", PLUGINS) == error


@pytest.mark.parametrize(
    "name", ["mqtt-proxy", "ip-restriction", "limit-conn", "traffic-split", "prometheus", "syslog"]
)
def test_stream_routes_have_plugins_of_their_own(name: str) -> None:
    assert "stream" in PLUGINS[name].checks
    if name == "mqtt-proxy":
        check_plugins({name: {"protocol_level": 4}}, "stream")
        with pytest.raises(ModelError, match="unknown plugin"):
            check_plugins({name: {"protocol_level": 4}})


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference is not beside this repository")
def test_names_fields_requirements_and_secrets_are_those_of_apisix() -> None:
    reference = json.loads(REFERENCE.read_text())["plugins"]
    assert reference.keys() <= PLUGINS.keys()
    for name, theirs in reference.items():
        ours = PLUGINS[name]
        assert (ours.priority, ours.version, ours.type) == (
            theirs["priority"],
            theirs["version"],
            theirs.get("type", ""),
        )
        for kind, word in (("route", "schema"), ("consumer", "consumer_schema"), ("metadata", "metadata_schema")):
            schema, expected = ours.schemas.get(kind), theirs.get(word)  # type: ignore[call-overload]
            assert (schema is None) == (expected is None), (name, kind)
            if isinstance(expected, dict) and schema is not None:
                properties = set(schema.get("properties", {})) - {"_meta"}
                assert properties == set(expected.get("properties", {})), (name, kind)
                for field in ("required", "encrypt_fields"):
                    assert sorted(schema.get(field, [])) == sorted(expected.get(field, [])), (name, kind, field)
