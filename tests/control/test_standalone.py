import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.keys import STICKY_KEYS, TICKET_KEYS
from control.model.sticky import StickyKeys
from control.standalone import APISIX_NAME, STICKY_FILE, content, open_file, sticky_keys, ticket_keys
from control.store.base import StoreUnavailable
from control.store.yaml_json import FileError
from tests.control.certificates import pair

UPSTREAM = "{type: roundrobin, nodes: {'127.0.0.1:80': 1}}"
VPC = """
vpcs:
  - id: blue
    vni: 7
    cidr: 192.168.0.0/24
    endpoints: {192.168.0.10: {vtep: 10.0.0.1, mac: "02:00:c0:a8:00:0a"}}
"""


def read(
    text: str, in_force: Mapping[str, bytes] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = content(text.encode(), in_force or {}, environ or {}, {})
    return {key: json.loads(value) for key, value in found.values.items()}, found.problems


def test_a_file_of_apisix_is_read_and_objects_without_id_are_numbered() -> None:
    values, problems = read(f"""
routes:
  - {{uri: /a, upstream: {UPSTREAM}}}
  - {{id: 7, uri: /b, upstream_id: u}}
  - {{uri: /c, upstream_id: u}}
upstreams:
  - {{id: u, nodes: {{'a:80': 1}}}}
#END
""")
    assert problems == ()
    assert list(values) == [f"/apisix/{name}" for name in ("routes/arr_1", "routes/7", "routes/arr_3", "upstreams/u")]
    assert values["/apisix/routes/arr_1"]["id"] == "arr_1" and values["/apisix/routes/7"]["id"] == "7"


def test_our_own_kinds_are_read() -> None:
    values, problems = read(
        "nodes: [{id: gw, role: gateway, zone: a, address: 10.0.0.1}]\n"
        "vips: [{id: v, address: 10.0.0.2, port: 80, targets: [{node: gw, port: 80}]}]\n"
        "---\nkind: route\nid: r\nuri: /\nupstream: " + UPSTREAM
    )
    assert problems == () and set(values) == {"/unilb/nodes/gw", "/unilb/vips/v", "/apisix/routes/r"}


def test_endpoints_in_a_vpc_get_the_same_unique_ip_each_time() -> None:
    text = VPC + "upstreams: [{id: u, vpc_id: blue, nodes: {'192.168.0.10:80': 1}}]\n"
    text += "routes: [{id: r, uri: /, upstream: {vpc_id: blue, nodes: {'192.168.0.10:81': 1}}}]\n"
    values, problems = read(text)
    unique = values["/unilb/vpcs/blue"]["endpoints"]["192.168.0.10"]["unique_ip"]
    for node in (values["/apisix/upstreams/u"]["nodes"][0], values["/apisix/routes/r"]["upstream"]["nodes"][0]):
        assert node["host"] == unique and node["metadata"] == {"vpc_id": "blue", "vpc_ip": "192.168.0.10"}
    assert problems == () and read(text) == (values, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routes:\n - {id: bad, uri: 5}\n", "line 2: route [bad]: invalid configuration: property \"uri\""),
        ("routes:\n - {id: a/b, uri: /, upstream_id: u}\n", "line 2: route [a/b]: "),
        ("upstreams:\n - {id: u, vpc_id: none, nodes: {'192.168.0.10:80': 1}}\n", "the file has no valid vpc [none]"),
        (VPC + "upstreams:\n - {id: u, vpc_id: blue, nodes: {'192.168.0.11:80': 1}}\n", "has no endpoint 192.168.0.11"),
        (VPC + "  - {id: green, vni: 7, cidr: 10.0.0.0/8}\n", "vpc [green]: vni 7 belongs to vpc [blue]"),
        ("protos: [{id: p}]\n", "line 1: protos: not supported by unilb, passed over"),
        ("vips: [{id: v, port: 80, targets: []}]\n", "vip [v]: property \"address\" is required"),
        ("consumers:\n - {username: jack, plugins: {nope: {}}}\n", "line 2: consumer [jack]: "),
        (f"routes:\n - {{id: 1, uri: /x, upstream: {UPSTREAM}}}\n - {{id: '1', uri: /y, upstream: {UPSTREAM}}}\n",
         "line 3: route [1]: found duplicate id, the first is in line 2"),
    ],
)  # fmt: skip
def test_one_bad_object_is_named_and_the_others_are_in_force(text: str, says: str) -> None:
    good = f"\n---\nkind: route\nid: good\nuri: /\nupstream: {UPSTREAM}\n"
    values, problems = read(text + good)
    assert "/apisix/routes/good" in values
    assert len(problems) == 1 and says in problems[0]


def test_an_object_that_turns_bad_keeps_its_last_good_version() -> None:
    before = content(f"routes: [{{id: 1, uri: /old, upstream: {UPSTREAM}}}]".encode(), {}, {}, {})
    values, problems = read("routes: [{id: 1, uri: 5}, {id: 2, uri: 6}]", before.values)
    assert list(values) == ["/apisix/routes/1"] and values["/apisix/routes/1"]["uri"] == "/old"
    assert len(problems) == 2


def test_a_kind_that_nobody_knows_refuses_the_file() -> None:
    with pytest.raises(FileError, match='line 2: unknown kind "rotues", known are .*routes'):
        read("upstreams: []\nrotues: []\n")


def test_an_empty_list_of_what_we_do_not_serve_is_no_problem() -> None:
    assert read("secrets: []\nroutes: []\n") == ({}, ())


def test_the_environment_is_filled_in() -> None:
    text = "upstreams: [{id: u, nodes: [{host: '${{HOST}}', port: '${{PORT:=8080}}', weight: 1}]}]"
    values, problems = read(text, environ={"HOST": "10.0.0.5"})
    assert problems == () and values["/apisix/upstreams/u"]["nodes"] == [
        {"host": "10.0.0.5", "port": 8080, "weight": 1}
    ]
    with pytest.raises(FileError, match="no environment variable HOST"):
        read(text)


async def test_only_apisix_yaml_has_to_have_an_end(tmp_path: Path) -> None:
    for name, is_needed in ((APISIX_NAME, True), ("unilb.yaml", False)):
        file = tmp_path / name
        file.write_text("routes: []\n")
        store = open_file(file, tmp_path, lambda _: None)
        if is_needed:
            with pytest.raises(StoreUnavailable, match="the last line is not #END"):
                await store.range("/")
            file.write_text("routes: []\n#END\n")
        entries, _ = await store.range("/")
        assert [entry.key for entry in entries] == [STICKY_KEYS, TICKET_KEYS]
        await store.close()
        (tmp_path / "last-good.yaml").unlink()


def test_the_sticky_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / STICKY_FILE
    made = sticky_keys(file)
    assert sticky_keys(file) == made and StickyKeys.from_json(json.loads(made)).previous is None
    assert file.stat().st_mode & 0o777 == 0o600
    for bad in ("x", '{"current": "short"}'):
        file.write_text(bad)
        with pytest.raises(ModelError):
            sticky_keys(file)


def test_a_plugin_without_a_configuration_has_an_empty_one_and_ids_are_text() -> None:
    raw = b"routes:\n  - id: 5\n    uri: /\n    plugins:\n      key-auth:\n#END\n"
    read = content(raw, {}, {}, {})
    assert read.problems == ()
    assert json.loads(read.values["/apisix/routes/5"]) == {"id": "5", "uri": "/", "plugins": {"key-auth": {}}}


def test_certificates_are_read_and_the_secret_of_tickets_is_anothers_each_time(tmp_path: Path) -> None:
    certificate, key = pair("a.example")
    site = {"ssls": [{"id": "1", "snis": ["a.example"], "cert": certificate, "key": key}]}
    read = content(json.dumps(site).encode(), {}, {}, {})
    assert json.loads(read.values["/apisix/ssls/1"])["snis"] == ["a.example"] and not read.problems
    assert ticket_keys() != ticket_keys()
