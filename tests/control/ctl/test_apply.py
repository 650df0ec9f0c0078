from control.ctl.apply import carry_out, read_live
from control.ctl.client import Api
from control.ctl.kinds import BY_NAME
from control.ctl.manifest import read_manifest
from control.ctl.plan import Step, plan

VPC = "{id: blue, vni: %d, cidr: 192.168.0.0/24, endpoints: {%s}}"


def endpoint(last: int) -> str:
    return f'192.168.0.{last}: {{vtep: 10.0.0.1, mac: "02:00:c0:a8:00:{last:02x}"}}'


def apply(api: Api, text: str, prune: bool = False) -> tuple[list[str], list[str]]:
    """What was said, and what was refused."""
    manifest = read_manifest(text.encode(), None)
    said: list[str] = []

    def say(step: Step) -> None:
        said.append(f"{'/'.join(step.name)} {step.action.value}")

    failures = carry_out(api, plan(manifest, read_live(api, manifest, prune), prune), say)
    return said, [f"{'/'.join(failure.step.name)}: {failure.why}" for failure in failures]


def test_applying_twice_writes_once(api: Api) -> None:
    text = f"""
routes: [{{id: 1, uri: /, upstream_id: u}}]
upstreams: [{{id: u, vpc_id: blue, nodes: {{"192.168.0.10:80": 1}}}}]
vpcs: [{VPC % (7, endpoint(10))}]
"""
    assert apply(api, text) == (["vpcs/blue created", "upstreams/u created", "routes/1 created"], [])
    assert apply(api, text) == (["vpcs/blue unchanged", "upstreams/u unchanged", "routes/1 unchanged"], [])


def test_an_upstream_moves_from_one_endpoint_to_another_in_one_go(api: Api) -> None:
    both = 'vpcs: [%s]\nupstreams: [{id: u, vpc_id: blue, nodes: {"192.168.0.%d:80": 1}}]\n'
    apply(api, both % (VPC % (7, endpoint(10)), 10))
    said, failures = apply(api, both % (VPC % (7, endpoint(11)), 11))
    assert failures == [] and said == ["upstreams/u configured", "vpcs/blue configured"]


def test_endpoints_of_several_networks_get_the_unique_ips_of_this_server(api: Api) -> None:
    text = f"""
vpcs: [{VPC % (7, endpoint(10))}]
upstreams:
  - id: u
    nodes:
      - {{host: 10.9.9.9, port: 80, weight: 1}}
      - {{host: 1.2.3.4, port: 80, weight: 1, metadata: {{vpc_id: blue, vpc_ip: 192.168.0.10}}}}
"""
    assert apply(api, text)[1] == []
    stored, vpc = (api.list(kind) for kind in (BY_NAME["upstreams"], BY_NAME["vpcs"]))
    assert stored["u"]["nodes"][1]["host"] == vpc["blue"]["endpoints"]["192.168.0.10"]["unique_ip"]
    missing = text.replace("vpc_ip: 192.168.0.10", "vpc_ip: 192.168.0.77")
    assert apply(api, missing)[1] == ["upstreams/u: vpc [blue] has no endpoint 192.168.0.77"]


def test_a_write_that_waits_for_a_deletion_comes_after_it(api: Api) -> None:
    apply(api, f"vpcs: [{VPC % (7, endpoint(10))}]")
    said, failures = apply(api, f"vpcs: [{(VPC % (7, endpoint(10))).replace('blue', 'green')}]", prune=True)
    assert failures == [] and said == ["vpcs/blue deleted", "vpcs/green created"]


def test_one_refused_object_does_not_stop_the_others(api: Api) -> None:
    upstream = "upstream: {nodes: {'127.0.0.1:1': 1}}"
    said, failures = apply(api, f"routes: [{{id: a, uri: /, upstream_id: no}}, {{id: b, uri: /, {upstream}}}]")
    assert said == ["routes/b created"]
    assert failures == ["routes/a: failed to fetch upstream info by upstream id [no], response code: 404"]


def test_kinds_that_the_server_does_not_have_are_refused_in_its_words(api: Api) -> None:
    said, failures = apply(api, "secrets: [{id: vault/1, uri: 'http://v', prefix: p, token: t}]")
    assert (said, len(failures)) in (([], 1), (["secrets/vault/1 created"], 0))
