"""Public clients of APISIX's Admin API do every call they know against a real `unilb control`.

PyPI's apisix-client 1.0.3 and npm's apisix-sdk 0.0.6, driven by the programs in tests/control/clients. What they cannot
do for reasons of their own stands below, call by call; with APISIX itself it fails just so.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.control.admin.conftest import KEY
from tests.control.admin.control_process import ROOT, control_process
from tests.control.certificates import pair

CLIENTS = ROOT / "tests" / "control" / "clients"
PYTHON = ROOT / ".build" / "apisix-client" / "bin" / "python"
SDK = ROOT / ".build" / "npm" / "node_modules" / "apisix-sdk"

# apisix-client 1.0.3: `raise NotImplementedError()` is all that these methods are.
UNWRITTEN = {
    f"{part}.{method}"
    for part in ("credential", "global_rule", "secret", "ssl")
    for method in ("get", "get_all", "delete", "count")
}
POST = "not supported `POST` method for "
PATCH = "not supported `PATCH` method for "
NOT_THERE = "not found [GET /v1/"
# apisix-sdk 0.0.6: call -> what its error says. The reasons:
# - it POSTs and PATCHes where APISIX answers 405;
# - it asks the Control API for paths that APISIX does not have;
# - it reads a discovery dump, of a registry that is not configured.
SDK_ERRORS = {
    "consumerGroups.create 2": POST + "consumer group",
    "pluginConfigs.create 2": POST + "plugin config",
    "globalRules.create 2": POST + "global rule",
    "protos.patch": PATCH + "proto",
    "consumers.patch": PATCH + "consumer",
    "plugins.getSchema": NOT_THERE + "schema/plugin/key-auth",
    "control.getSchema": NOT_THERE + "schema/route",
    "control.getPluginSchema": NOT_THERE + "schema/plugin/key-auth",
    "control.getConfig": NOT_THERE + "config",
    # APISIX has /v1/route/1, in the singular.
    "control.getRoute": NOT_THERE + "routes/1",
    "control.getService": NOT_THERE + "services/1",
    "control.getUpstream": NOT_THERE + "upstreams/1",
    "control.getConsumers": NOT_THERE + "consumers",
    "control.getConsumer": NOT_THERE + "consumers/1",
    "control.getSSLCertificates": NOT_THERE + "ssl",
    "control.getSSLCertificate": NOT_THERE + "ssl/1",
    "control.getGlobalRules": NOT_THERE + "global_rules",
    "control.getGlobalRule": NOT_THERE + "global_rules/1",
    "control.getConsumerGroups": NOT_THERE + "consumer_groups",
    "control.getConsumerGroup": NOT_THERE + "consumer_groups/1",
    "control.getMemoryStats": NOT_THERE + "memory_stats",
    # By GET; APISIX takes PUT.
    "control.reloadPlugins": NOT_THERE + "plugins/reload",
    "control.getDiscoveryDump": "Service discovery '1' is not configured",
    "control.getDiscoveryDumpFiles": "Service discovery '1' is not configured",
    "control.getDiscoveryDumpFile": NOT_THERE + "discovery/nacos/dump_file/f",
    # It asks no server: its own table of versions has no 3.0.0.
    "version.getMigrationRecommendations": "Unsupported target version: 3.0.0",
}
# Calls that swallow their own error, or misread a good answer: what they give here, and with APISIX.
SDK_WRONG = {
    # `Object.keys` of the list of names: "0", "1", ...
    "plugins.isAvailable": False,
    "plugins.getPluginsByCategory": [],
    # POST /apisix/admin/plugins/key-auth/enable, which APISIX never had.
    "plugins.enable": False,
    "plugins.disable": False,
    "plugins.setGlobalState": False,
    # It waits for {"status": "ok"} or an empty text; APISIX says [].
    "control.isHealthy": False,
    # No registry is configured.
    "control.hasDiscovery": False,
    "control.listDiscoveries": [],
}
# It asks ports 9091 and 9080 of its own machine, whatever it is told.
SDK_UNASKED = {"control.getPrometheusMetrics"}
# What is not there is not found, and says so.
SDK_ABSENT = {
    f"{part}.exists 2"
    for part in ("upstreams", "services", "routes", "consumerGroups", "globalRules", "ssl", "protos", "streamRoutes")
} | {"consumers.exists 2"}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[str, str]]:
    with control_process(tmp_path) as urls:
        yield urls


def said_by(*words: str) -> Any:
    """The JSON that a program prints."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not PYTHON.exists(), reason="`make setup` has not installed apisix-client")
def test_apisix_client_from_pypi(control: tuple[str, str]) -> None:
    said = said_by(str(PYTHON), str(CLIENTS / "drive_apisix_client.py"), f"{control[0]}/", KEY)
    assert {name for name, result in said.items() if "Error" in str(result)} == UNWRITTEN
    for kind, name in (("upstream", "u"), ("service", "s"), ("route", "r")):
        calls = {call.removeprefix(f"{kind}."): result for call, result in said.items() if call.startswith(f"{kind}.")}
        assert calls == {
            "create_or_update": "1",
            "create_or_update again": "1",
            "create_with_id_generation": True,
            "get": {"key": f"/apisix/{kind}s/1", "name": name},
            "get of nothing": None,
            "get_all": 2,
            "get_all of a page": 0,
            "count": 2,
            "delete": True,
            "delete of nothing": False,
        }
    jack = {"key": "/apisix/consumers/jack", "name": "jack"}
    rest = {call: result for call, result in said.items() if call.startswith(("consumer.", "plugin."))}
    assert rest == {
        "consumer.create_or_update": True,
        "consumer.create_or_update of a bad one": False,
        "consumer.get": jack,
        "consumer.get of nothing": None,
        "consumer.get_all": [jack],
        "consumer.get_all of a page": [jack],
        "consumer.count": 1,
        "consumer.delete": 1,
        "consumer.delete of nothing": 0,
        "plugin.get_available": True,
        "plugin.reload": True,
    }


@pytest.mark.skipif(not SDK.exists(), reason="`make setup` has not installed apisix-sdk")
def test_apisix_sdk_from_npm(control: tuple[str, str]) -> None:
    program = str(CLIENTS / "drive_apisix_sdk.mjs")
    told = said_by("node", program, control[0], KEY, control[1], *pair("a.example"))
    said = told["said"]
    assert set(told["left"]) == SDK_UNASKED
    errors = {name: result for name, result in said.items() if str(result).startswith("Error: ")}
    assert errors.keys() == SDK_ERRORS.keys()
    assert {name: SDK_ERRORS[name] in result for name, result in errors.items()} == dict.fromkeys(SDK_ERRORS, True)
    wrong = {name: said[name] for name in SDK_WRONG}
    assert wrong == SDK_WRONG
    assert {name for name, result in said.items() if result is False} == SDK_ABSENT | {
        name for name, result in SDK_WRONG.items() if result is False
    } | {"version.isFeatureDeprecated"}
    check_what_is_shown(said)


def check_what_is_shown(said: dict[str, Any]) -> None:
    """What the calls gave back, where that says that the write before was understood."""
    assert said["routes.get"]["desc"] == "d"
    assert said["routes.create 2"]["id"].isdigit() and len(said["routes.create 2"]["id"]) == 20
    assert said["routes.disable"]["status"] == 0 and said["routes.enable"]["status"] == 1
    assert said["routes.clone"]["uri"] == "/c"
    assert len(said["upstreams.addNode"]["nodes"]) == 2 and len(said["upstreams.removeNode"]["nodes"]) == 1
    assert said["upstreams.updateNodeWeight"]["nodes"][1]["weight"] == 4
    assert said["upstreams.listPaginated"]["total"] == 2
    assert said["pluginConfigs.togglePlugin"]["plugins"]["ip-restriction"]["_meta"] == {"disable": True}
    assert said["consumerGroups.addLabel"]["labels"]["c"] == "d"
    assert "key" not in said["ssl.get"] and said["ssl.enable"]["status"] == 1
    assert said["consumers.getCredential"]["plugins"] == {"key-auth": {"key": "k2"}}
    assert len(said["consumers.listCredentials"]) == 5
    assert said["secrets.getVaultSecret"]["uri"] == "http://127.0.0.1:8200"
    assert {name: len(found) for name, found in said["secrets.listAllSecrets"].items()} == {
        "vault": 1,
        "aws": 1,
        "gcp": 1,
    }
    assert said["plugins.getMetadata"]["log_format"] == {"host": "$host"}
    assert said["sdk.batchOperations"]["failed"] == 0
    assert said["sdk.importData"]["created"] == 1
    assert said["sdk.importFromOpenAPI"]["created"] == 1
    assert said["sdk.testConnection"] is True
    assert all(said[f"{part}.delete"] is True for part in ("routes", "services", "upstreams", "ssl", "protos"))
