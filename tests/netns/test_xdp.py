"""The whole region with every node on XDP: the topology asks for it, and the three paths are the same."""

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.netns.conftest import built
from tests.netns.load import HOSTS, load
from tests.netns.observe import CLIENT, checksum_errors, drops, eventually, grown, kept, service
from userspace.lab import demo, services, topology
from userspace.lab.exec import run
from userspace.lab.lab import Lab
from userspace.lab.topology import Topology

pytestmark = [pytest.mark.netns, pytest.mark.apart]
NODES = ("l4", "gw1", "gw2")
PLACES = ("client", "l4", "gw1", "gw2", "web1", "host1", "host2", "blue1", "blue2")


@pytest.fixture(scope="module")
def on_xdp(region: Topology) -> Iterator[Lab]:
    written = yaml.safe_load(region.text)
    for name in NODES:
        written["machines"][name]["hook"] = "xdp"
    yield from built("e2exdp", topology.parse(yaml.safe_dump(written, sort_keys=False)))


def attached(lab: Lab, node: str) -> set[str]:
    """Names of the programs that the node's device runs on XDP."""
    shown = json.loads(run(lab, node, ["ip", "-j", "-d", "link", "show", "eth0"]).stdout)
    return {shown[0]["xdp"]["prog"]["name"]}


def test_every_path_is_served_to_the_client_behind_both_translations(on_xdp: Lab) -> None:
    assert [attached(on_xdp, node) for node in NODES] == [{"l4_xdp"}, {"vxlan_xdp"}, {"vxlan_xdp"}]
    errors, lost = checksum_errors(on_xdp, PLACES), drops(on_xdp, "l4")
    with kept(on_xdp, demo.eip(on_xdp)) as connection:
        for host in HOSTS:
            connection.request("GET", "/who", headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == 200
            assert json.loads(answer.read())["x_forwarded_for"] == CLIENT
            connection.request("GET", f"/size/{1 << 20}", headers={"Host": host})
            assert len(connection.getresponse().read()) == 1 << 20
    assert checksum_errors(on_xdp, PLACES) == errors
    assert grown(lost, drops(on_xdp, "l4")) == {}


def test_a_killed_l4_node_loses_no_request_and_the_next_adopts_what_is_there(on_xdp: Lab) -> None:
    node = service(on_xdp, "l4")
    links = run(on_xdp, "l4", ["ls", "-R", "/sys/fs/bpf/unilb"]).stdout
    with load(on_xdp, demo.eip(on_xdp)) as requests:
        services.stop(on_xdp, node, 0)
        eventually("the node has gone", lambda: services.running(on_xdp, node) is None)
        requests.more()
        services.start(on_xdp, node)
        services.wait_until_ready(on_xdp, node, 60)
        requests.more()
    assert requests.failed == {}
    assert "l4: adopted" in on_xdp.log("l4", "node").read_text()
    assert run(on_xdp, "l4", ["ls", "-R", "/sys/fs/bpf/unilb"]).stdout == links
