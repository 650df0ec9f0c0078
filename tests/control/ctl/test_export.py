from pathlib import Path

from control.ctl.apply import carry_out, read_live
from control.ctl.client import Api
from control.ctl.export import export_text, read_all
from control.ctl.manifest import read_manifest
from control.ctl.plan import Action, plan
from control.standalone import content
from tests.control.ctl.conftest import serving

TEXT = """
vpcs: [{id: blue, vni: 7, cidr: 192.168.0.0/24, endpoints: {192.168.0.10: {vtep: 10.0.0.1, mac: "02:00:c0:a8:00:0a"}}}]
upstreams:
  - {id: in, vpc_id: blue, nodes: {"192.168.0.10:80": 1}}
  - {id: both, nodes: [{host: 10.0.0.9, port: 80, weight: 1},
                       {host: x, port: 80, weight: 1, metadata: {vpc_id: blue, vpc_ip: 192.168.0.10}}]}
routes: [{id: "1", uri: /, upstream_id: in, desc: "1e3", labels: {a: "yes"}}]
nodes: [{id: gw, role: gateway, zone: a, address: 10.0.0.1}]
vips: [{id: v, address: 10.0.0.2, port: 80, targets: [{node: gw, port: 80}]}]
"""


def write(api: Api, text: str) -> list[Action]:
    manifest = read_manifest(text.encode(), None)
    steps = plan(manifest, read_live(api, manifest, True), prune=True)
    assert carry_out(api, steps, lambda _: None) == []
    return [step.action for step in steps]


def test_an_export_changes_nothing_where_it_comes_from_and_makes_the_same_elsewhere(api: Api, tmp_path: Path) -> None:
    write(api, TEXT)
    exported = export_text(read_all(api))
    assert set(write(api, exported)) == {Action.KEEP}
    with serving(f"sqlite://{tmp_path}/other.db", tmp_path / "other.log") as other:
        elsewhere = other.api()
        # Another VPC first: the unique IPs are others there.
        write(elsewhere, TEXT[: TEXT.index("upstreams")].replace("blue", "other").replace("vni: 7", "vni: 8"))
        write(elsewhere, exported)
        assert export_text(read_all(elsewhere)) == exported
        elsewhere.close()


def test_stand_alone_mode_reads_an_export(api: Api) -> None:
    write(api, TEXT)
    exported = export_text(read_all(api))
    assert exported.endswith("#END\n")
    read = content(exported.encode(), {}, {}, {})
    assert read.problems == () and "/apisix/routes/1" in read.values


def test_an_empty_server_exports_a_file_that_can_be_applied(api: Api) -> None:
    assert set(write(api, export_text(read_all(api)))) == set()


def test_credentials_go_below_consumers_and_missing_keys_are_said() -> None:
    text = export_text(
        {
            ("consumers", "jack"): {"username": "jack", "create_time": 1},
            ("credentials", "jack/credentials/c"): {"id": "c", "plugins": {}},
            ("ssls", "s"): {"id": "s", "cert": "c", "snis": ["a"]},
        }
    )
    assert text.startswith("# Private keys of ssls")
    assert "consumers:\n- username: jack\n- id: jack/credentials/c\n  plugins: {}\n" in text
