"""What an operator sees: maps by bpftool with names in them, sessions by `unilb sessions`."""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import pytest

from tests.netns.observe import eventually, kept
from userspace.lab import services
from userspace.lab.exec import run
from userspace.lab.lab import Lab
from userspace.node.abi import ABI_VERSION

pytestmark = pytest.mark.netns
MAPS = f"/sys/fs/bpf/unilb/{ABI_VERSION}"
GW1 = "10.1.0.11"
HEADINGS = ["from", "to", "leaves", "as", "towards", "vni", "state", "idle", "packets"]


@pytest.fixture(scope="module")
def open_connections(lab: Lab) -> Iterator[list[http.client.HTTPConnection]]:
    """Connections through the EIP and straight to gw1, so that there is something to see."""
    with ExitStack() as stack:
        opened = [stack.enter_context(kept(lab, address)) for address in ("198.51.100.10", GW1) for _ in range(4)]
        for connection in opened:
            for tenant in ("blue", "green", "six"):
                for _ in range(2):  # one worker, hence both endpoints
                    connection.request("GET", "/seen", headers={"Host": f"{tenant}.example.com"})
                    assert connection.getresponse().read()
        yield opened


def dumped(lab: Lab, place: str, name: str) -> list[dict[str, Any]]:
    """A map's entries as bpftool formats them by BTF."""
    out = run(lab, place, ["bpftool", "--json", "map", "dump", "pinned", f"{MAPS}/{name}"]).stdout
    return [entry["formatted"] for entry in json.loads(out)]


def text(address: dict[str, Any]) -> str:
    """An address of the maps as people write it."""
    found = ip_address(bytes(octet if isinstance(octet, int) else int(octet, 0) for octet in address["bytes"]))
    return str(getattr(found, "ipv4_mapped", None) or found)


def listed(lab: Lab, place: str, *words: str) -> list[dict[str, Any]]:
    out = run(lab, place, [services.unilb(), "sessions", "--json", *words]).stdout
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.usefixtures("open_connections")
class TestMaps:
    def test_endpoints_say_which_vm_a_unique_ip_is(self, lab: Lab) -> None:
        t = lab.topology
        found = {
            (e["value"]["vni"], text(e["value"]["addr"]), text(e["value"]["vtep"]))
            for e in dumped(lab, "gw1", "endpoints")
        }
        assert found == {
            (t.vpcs[vm.vpc].vni, str(vm.address), str(t.machines[vm.host].address)) for vm in t.vms.values()
        }
        for entry in dumped(lab, "gw1", "endpoints"):
            assert text(entry["key"]).startswith("fd75:" if ":" in text(entry["value"]["addr"]) else "100.6")
            assert set(entry["value"]) == {"addr", "vtep", "vni", "mac", "mtu", "account"}

    def test_sessions_name_their_flow_and_where_it_leaves(self, lab: Lab) -> None:
        found = dumped(lab, "gw1", "sessions")
        assert {entry["key"]["vni"] for entry in found} == {0, 10010, 10020, 10030}
        for entry in found:
            assert {"saddr", "daddr", "sport", "dport", "vni", "proto"} <= set(entry["key"])
            assert {"peer", "direction", "tcp_seen", "created_ns", "packets", "bytes"} <= set(entry["value"])

    def test_services_of_the_l4_node_name_the_vip(self, lab: Lab) -> None:
        (entry,) = dumped(lab, "l4", "services")
        assert text(entry["key"]["addr"]) == "10.100.0.10"
        assert entry["key"]["proto"] == 6
        assert "ring" in entry["value"]

    def test_the_plain_dump_has_the_names_too(self, lab: Lab) -> None:
        out = run(lab, "gw1", ["bpftool", "map", "dump", "pinned", f"{MAPS}/endpoints"]).stdout
        for name in ('"vtep"', '"vni": 10010', '"vni": 10020', '"mtu": 1450'):
            assert name in out


@pytest.mark.usefixtures("open_connections")
class TestSessions:
    def test_the_table_has_a_line_for_each_session_of_the_gateway(self, lab: Lab) -> None:
        lines = run(lab, "gw1", [services.unilb(), "sessions"]).stdout.splitlines()
        assert lines[0].split() == HEADINGS
        assert any("192.168.0.10:80" in line and "10010" in line for line in lines[1:])
        assert any("192.168.0.10:80" in line and "10020" in line for line in lines[1:])

    def test_the_l4_nodes_sessions_lead_from_the_client_to_a_gateway(self, lab: Lab) -> None:
        found = listed(lab, "l4", "203.0.113.9")
        assert found
        assert {row["reached"] for row in found} == {"10.100.0.10:80"}
        assert {row["towards"] for row in found} <= {"10.1.0.11:80", "10.2.0.12:80"}
        assert {row["leaves_as"].split(":")[0] for row in found} <= {"10.100.1.1", "10.100.1.2"}
        assert {row["vni"] for row in found} == {0}

    def test_a_vni_is_listed_alone(self, lab: Lab) -> None:
        for vni in (10010, 10020):
            assert {row["vni"] for row in listed(lab, "gw1", "--vni", str(vni))} == {vni}
        assert listed(lab, "gw1", "--vni", "4242") == []

    def test_part_of_an_address_is_listed_alone(self, lab: Lab) -> None:
        found = listed(lab, "gw1", "192.168.0.11:80")
        assert {row["towards"] for row in found} == {"192.168.0.11:80"}
        assert listed(lab, "gw1", "203.0.113.77") == []

    def test_a_state_is_listed_alone(self, lab: Lab) -> None:
        assert {row["state"] for row in listed(lab, "gw1", "--state", "established")} == {"established"}

    def test_the_count_is_that_of_the_list(self, lab: Lab) -> None:
        def both() -> tuple[int, int]:
            out = run(lab, "gw1", [services.unilb(), "sessions", "--count", "--state", "established"]).stdout
            return int(out), len(listed(lab, "gw1", "--state", "established"))

        eventually("the same count twice", lambda: len(set(both())) == 1)
        assert both()[0] > 0

    def test_what_the_limit_leaves_out_is_said(self, lab: Lab) -> None:
        lines = run(lab, "gw1", [services.unilb(), "sessions", "--limit", "1"]).stdout.splitlines()
        assert len(lines) == 3
        assert lines[-1].endswith("more (--limit)")

    def test_a_machine_without_datapath_says_so(self, lab: Lab) -> None:
        done = run(lab, "web1", [services.unilb(), "sessions"], check=False)
        assert (done.returncode, done.stdout.startswith("no datapath is loaded")) == (1, True)
