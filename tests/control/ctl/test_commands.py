import json
import subprocess
from pathlib import Path

import pytest

from tests.control.ctl.conftest import KEY, Ctl, Running

ROUTE = "routes:\n  - id: '1'\n    uri: /\n    upstream: {nodes: {'127.0.0.1:80': 1}}\n"


def test_apply_diff_and_get_agree(there: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(ROUTE)
    assert (there("diff", "-f", str(file)).code, there("get", "routes", "1").code) == (1, 1)
    assert there("apply", "-f", str(file)).out == "routes/1 created\n"
    assert there("apply", "-f", "-", input=ROUTE).out == "routes/1 unchanged\n"
    assert there("diff", "-f", str(file)) == there("diff", "-f", "-", input=ROUTE)
    assert there("diff", "-f", str(file)).code == 0
    assert there("get", "route", "1").out.splitlines()[1].split()[:4] == ["1", "-", "-", "/"]
    assert json.loads(there("get", "routes", "-o", "json").out)[0]["uri"] == "/"
    assert "uri: /\n" in there("get", "routes", "1", "-o", "yaml").out


def test_a_refusal_names_file_line_and_object(there: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(ROUTE + "  - id: '2'\n    uri: /\n    upstream_id: none\n")
    result = there("apply", "-f", str(file))
    assert result.code == 1 and result.out == "routes/1 created\n"
    assert (
        result.err == f"{file}:5: routes/2: failed to fetch upstream info by upstream id [none], response code: 404\n"
    )


def test_a_file_that_cannot_be_read_is_wrong_usage_and_nothing_is_written(there: Ctl, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(ROUTE + "routes: []\n")
    result = there("apply", "-f", str(file))
    assert (result.code, result.err) == (2, f'unilb ctl: {file}: line 5: key "routes" is there twice\n')
    assert there("get", "routes", "-o", "json").out == "[]\n"
    missing = there("apply", "-f", str(tmp_path / "none"))
    assert missing.code == 2 and "No such file" in missing.err


def test_prune_deletes_what_the_file_leaves_out(there: Ctl) -> None:
    there("apply", "-f", "-", input=ROUTE + ROUTE.replace("routes:\n", "").replace("'1'", "'2'"))
    assert there("diff", "-f", "-", "--prune", input=ROUTE).code == 1
    assert there("apply", "-f", "-", "--prune", input=ROUTE).out == "routes/1 unchanged\nroutes/2 deleted\n"


def test_delete_takes_a_name_or_a_file(there: Ctl) -> None:
    there("apply", "-f", "-", input=ROUTE)
    assert there("delete", "routes", "1").out == "routes/1 deleted\n"
    assert there("delete", "routes", "1").code == 1
    there("apply", "-f", "-", input=ROUTE)
    assert there("delete", "-f", "-", input=ROUTE).out == "routes/1 deleted\n"
    assert (there("delete", "-f", "-", input=ROUTE).out, there("delete", "routes").code) == ("", 2)
    assert there("delete").code == 2 and there("delete", "routes", "1", "-f", "x").code == 2


def test_delete_refuses_what_is_in_use_unless_forced(there: Ctl) -> None:
    text = "upstreams: [{id: u, nodes: {'a:1': 1}}]\nroutes: [{id: r, uri: /, upstream_id: u}]\n"
    there("apply", "-f", "-", input=text)
    refused = there("delete", "upstreams", "u")
    assert refused.code == 1 and "route [r] is still using it" in refused.err
    assert there("delete", "upstreams", "u", "--force").code == 0


def test_an_export_is_imported_again(there: Ctl) -> None:
    there("apply", "-f", "-", input=ROUTE)
    exported = there("export").out
    there("delete", "routes", "1")
    assert there("import", "-f", "-", input=exported).out == "routes/1 created\n"
    assert there("export").out == exported


def test_the_environment_fills_in_only_on_request(there: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "127.0.0.1:8080")
    text = ROUTE.replace("127.0.0.1:80", "${{WHERE}}")
    assert there("apply", "-f", "-", input=text).code == 1
    assert there("apply", "--env", "-f", "-", input=text).code == 0
    assert "127.0.0.1:8080" in there("get", "routes").out


def test_status_shows_the_store(there: Ctl) -> None:
    assert there("status").out.splitlines()[0].split() == ["store", "ok"]
    assert json.loads(there("status", "-o", "json").out)["store"] == "ok"


def test_server_and_key_on_the_command_line_win(server: Running, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNILB_SERVER", "http://127.0.0.1:1")
    monkeypatch.setenv("UNILB_ADMIN_KEY", "wrong-key-wrong")
    assert ctl("get", "routes").code == 2
    assert ctl("status").code == 2
    assert ctl("get", "routes", "--server", server.url).code == 2
    assert ctl("get", "routes", "--server", server.url, "--key", KEY).code == 0
    wrong = ctl("status", "--server", server.url)
    assert wrong.code == 2 and "wrong apikey" in wrong.err


def test_a_backup_is_restored_into_an_empty_store(there: Ctl, store_url: str, tmp_path: Path) -> None:
    there("apply", "-f", "-", input=ROUTE)
    file, other = str(tmp_path / "backup"), f"sqlite://{tmp_path}/other.db"
    assert "keys written" in there("backup", file, "--store", store_url).out
    assert there("restore", file, "--store", other).code == 2
    assert "keys restored" in there("restore", file, "--store", other, "--yes").out
    refused = there("restore", file, "--store", other, "--yes")
    assert refused.code == 1 and "--force" in refused.err
    assert there("restore", file, "--store", other, "--yes", "--force").code == 0
    assert there("restore", __file__, "--store", other, "--yes", "--force").code == 2
    assert there("backup", file, "--store", "mysql://x").code == 2


EVERYTHING = """
services: [{id: s, upstream_id: u, plugins: {}}]
upstreams: [{id: u, nodes: {"127.0.0.1:80": 1}}]
routes: [{id: r, uri: /x, service_id: s, plugin_config_id: pc}]
plugin_configs: [{id: pc, plugins: {}}]
consumer_groups: [{id: g, plugins: {}}]
consumers:
  - {username: jack, group_id: g, plugins: {key-auth: {key: a-secret}}}
  - {id: jack/credentials/c, plugins: {key-auth: {key: another-secret}}}
global_rules: [{id: gr, plugins: {}}]
plugin_metadata: [{id: http-logger, log_format: {a: b}}]
protos: [{id: p, content: 'syntax = "proto3"; package a; message A {}'}]
secrets: [{id: vault/1, uri: "http://v", prefix: p, token: tok}]
ssls: [{id: cert, sni: a.test, cert: "${{CERT}}", key: "${{KEY}}"}]
"""


def test_every_kind_is_applied_once_and_then_unchanged_whatever_the_server_hides_or_encrypts(
    there: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a.test", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", "-x509", *options], check=True, capture_output=True)
    monkeypatch.setenv("CERT", cert.read_text())
    monkeypatch.setenv("KEY", key.read_text())
    first = there("apply", "--env", "-f", "-", input=EVERYTHING)
    assert (first.err, {line.split()[1] for line in first.out.splitlines()}) == ("", {"created"})
    again = there("apply", "--env", "-f", "-", "--prune", input=EVERYTHING)
    assert {line.split()[1] for line in again.out.splitlines()} == {"unchanged"}
    assert there("diff", "--env", "-f", "-", "--prune", input=EVERYTHING).code == 0
    exported = there("export").out
    assert key.read_text().splitlines()[1] not in exported
    assert there("diff", "-f", "-", "--prune", input=exported).out == ""
    assert there("delete", "-f", "-", input=exported).code == 0
    assert there("export").out == "routes: []\n#END\n"
