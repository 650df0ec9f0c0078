"""userspace/lab/services.py: started in order, seen ready, seen failing, started again."""

import os
import signal
from dataclasses import replace

import pytest

from userspace.lab import process, services, status
from userspace.lab.apply import LabError
from userspace.lab.client import request
from userspace.lab.lab import Lab
from userspace.lab.publish import admin
from userspace.lab.services import Service
from userspace.lab.up import up

pytestmark = pytest.mark.netns
VMS = ("blue1", "blue2", "green1", "green2", "six1", "six2")


@pytest.fixture
def planned(lab: Lab) -> dict[tuple[str, str], Service]:
    lab.state.mkdir()
    lab.admin_key.write_text("secret")
    return {(s.place, s.name): s for s in services.services(lab)}


def test_each_machine_runs_what_its_role_says(planned: dict[tuple[str, str], Service]) -> None:
    webs = {("web1", "nginx"), ("web2", "nginx")} | {(vm, "nginx") for vm in VMS}
    assert set(planned) == webs | {("etcd", "etcd"), ("etcd", "control")} | {(n, "node") for n in ("l4", "gw1", "gw2")}


def test_the_command_lines_are_the_documented_ones(lab: Lab, planned: dict[tuple[str, str], Service]) -> None:
    state = lab.state
    unilb = services.unilb()
    store = "--store etcd://10.0.0.5:2379"
    said = {place: " ".join(planned[place].argv) for place in [("etcd", "control"), ("gw1", "node"), ("l4", "node")]}
    assert said == {
        ("etcd", "control"): f"{unilb} control {store} --listen 10.0.0.5:9180 --admin-key secret",
        ("gw1", "node"): f"{unilb} node --id gw1 {store} --metrics 0.0.0.0:9091 --run-dir {state}/run/gw1"
        f" --listen 0.0.0.0:80 --workers 2 --access-log {state}/logs/gw1.access.log",
        ("l4", "node"): f"{unilb} node --id l4 {store} --metrics 0.0.0.0:9091 --run-dir {state}/run/l4",
    }


def test_a_node_is_told_its_hook(lab: Lab) -> None:
    l4 = replace(lab.topology.machines["l4"], hook="xdp")
    topology = replace(lab.topology, machines={**lab.topology.machines, "l4": l4})
    lab.state.mkdir()
    lab.admin_key.write_text("secret")
    planned = {(s.place, s.name): s for s in services.services(Lab(topology, lab.name))}
    assert planned["l4", "node"].argv[-2:] == ("--hook", "xdp")


@pytest.mark.etcd
@pytest.mark.bpf
def test_the_whole_region_comes_up_well(lab: Lab) -> None:
    up(lab)
    assert [row for row in status.rows(lab) if not row.ok] == []
    kept = admin(lab, "GET", "/unilb/vips/public").json()
    assert kept["value"]["address"] == "10.100.0.10"
    # the client's packets find their way over the EIP, the L4 machine and a gateway, which knows no route yet
    answer = request(lab, "client", "GET", "http://198.51.100.10/")
    assert (answer.status, answer.json()) == (404, {"error_msg": "404 Route Not Found"})


@pytest.mark.etcd
def test_up_starts_what_is_asked_for_and_status_tells(lab: Lab) -> None:
    up(lab, only=("etcd", "nginx"))
    health = {(row.machine, row.service): row.health for row in status.rows(lab)}
    assert {health[key] for key in health if key[1] in ("etcd", "nginx")} == {"ok"}
    assert {health[key] for key in health if key[1] in ("control", "node")} == {"not running"}
    assert request(lab, "gw2", "GET", "http://10.0.0.5:2379/health").json() == {"health": "true"}
    pids = {row.pid for row in status.rows(lab)}
    up(lab, only=("etcd", "nginx"))
    assert {row.pid for row in status.rows(lab)} == pids


def test_a_killed_service_starts_again_though_its_children_hold_its_port(lab: Lab) -> None:
    up(lab, only=("nginx",))
    (web1,) = [s for s in services.services(lab) if s.place == "web1"]
    before = services.running(lab, web1)
    assert before
    os.kill(before.pid, signal.SIGKILL)
    os.waitpid(before.pid, 0)
    assert [row.health for row in status.rows(lab) if row.machine == "web1"] == ["not running"]
    up(lab, only=("nginx",))
    after = services.running(lab, web1)
    assert after
    assert after.pid != before.pid
    assert process.session(before, lab.cgroup("web1") / "cgroup.procs") == []
    assert request(lab, "client", "GET", "http://10.1.0.21/").json()["machine"] == "web1"


def test_a_stopped_service_is_gone(lab: Lab) -> None:
    up(lab, only=("nginx",))
    (web2,) = [s for s in services.services(lab) if s.place == "web2"]
    services.stop(lab, web2)
    assert services.running(lab, web2) is None
    with pytest.raises(ConnectionRefusedError):
        request(lab, "client", "GET", "http://10.2.0.22/")


def test_a_service_that_ends_is_reported_with_the_end_of_its_log(lab: Lab) -> None:
    up(lab, only=())
    failing = Service("gw1", "node", ("/bin/sh", "-c", "echo no such map >&2; exit 3"), ("tcp://127.0.0.1:80",))
    services.start(lab, failing)
    with pytest.raises(LabError, match=r"node on gw1 ended(.|\n)*no such map"):
        services.wait_until_ready(lab, failing)


def test_a_service_that_is_never_ready_is_reported_with_the_reason(lab: Lab) -> None:
    up(lab, only=())
    idle = Service("gw1", "node", ("/bin/sleep", "1000"), ("tcp://127.0.0.1:80",))
    services.start(lab, idle)
    with pytest.raises(LabError, match=r"not ready: tcp://127.0.0.1:80: .*refused"):
        services.wait_until_ready(lab, idle, seconds=0.1)


def test_a_program_that_is_not_installed_is_named(lab: Lab) -> None:
    up(lab, only=())
    absent = Service("gw1", "node", ("no-such-program",), ())
    with pytest.raises(LabError, match="no-such-program is not installed; `unilb doctor`"):
        services.start(lab, absent)


def test_children_that_live_on_by_design_are_left_alone(lab: Lab) -> None:
    up(lab, only=())
    node = Service("gw1", "node", ("/bin/sh", "-c", "sleep 1000 & wait"), (), children_live_on=True)
    services.start(lab, node)
    leader = services.running(lab, node)
    assert leader
    procs = lab.cgroup("gw1") / "cgroup.procs"
    while len(process.session(leader, procs)) < 2:
        assert leader.alive
    os.kill(leader.pid, signal.SIGKILL)
    os.waitpid(leader.pid, 0)
    services.start(lab, node)
    assert len(process.session(leader, procs)) == 1
    services.stop(lab, node)
    services.start(lab, replace(node, children_live_on=False))
    assert len(process.session(leader, procs)) == 1  # of the first leader: only the last one's remains are looked for
