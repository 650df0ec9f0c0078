"""userspace/lab/up.py and down.py: from every state to the whole lab, and from every state to nothing."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from userspace.lab import enter, plan, topology
from userspace.lab.apply import NETNS_DIRECTORY, LabError, apply, existing_namespaces, in_lab
from userspace.lab.down import down
from userspace.lab.exec import connect, run, spawn
from userspace.lab.lab import Lab, cgroup2
from userspace.lab.up import up

pytestmark = pytest.mark.netns


def namespaces(lab: Lab) -> dict[str, int]:
    """Place -> inode of its namespace."""
    found = {place: lab.netns(place) for place in lab.places}
    return {place: path.stat().st_ino for place, path in found.items() if path and path.exists()}


def left_of(lab: Lab) -> list[str]:
    """Whatever of a lab can be seen from outside."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if lab.name in line]
    paths = [lab.state, cgroup2() / f"{lab.name}-lab"]
    names = [name for name in existing_namespaces() if name.startswith(f"{lab.name}-")]
    return mounts + names + [str(path) for path in paths if path.exists()]


def reaches_everything(lab: Lab) -> bool:
    for machine in lab.topology.machines.values():
        if machine.name != "client":
            with pytest.raises(ConnectionRefusedError):  # it is there, and says so
                connect(lab, "client", (str(machine.address), 9), timeout=2)
    return True


def test_up_twice_changes_nothing(lab: Lab) -> None:
    up(lab, only=())
    before = namespaces(lab)
    assert set(before) == set(lab.places)
    up(lab, only=())
    assert namespaces(lab) == before
    assert reaches_everything(lab)


def test_down_twice_leaves_nothing(lab: Lab) -> None:
    up(lab, only=())
    down(lab.name, lab.topology)
    assert left_of(lab) == []
    down(lab.name, lab.topology)
    assert left_of(lab) == []


# Numbers of steps after which the building stopped.
@pytest.mark.parametrize("steps", [1, 12, 23, 60, 100])
def test_a_half_built_lab_is_completed(lab: Lab, steps: int) -> None:
    apply(plan.build(lab.topology, lab.name)[:steps], in_lab(lab.name))
    up(lab, only=())
    assert reaches_everything(lab)


@pytest.mark.parametrize("steps", [1, 23, 100])
def test_a_half_built_lab_without_state_is_removed(lab: Lab, steps: int) -> None:
    apply(plan.build(lab.topology, lab.name)[:steps], in_lab(lab.name))
    assert left_of(lab)
    down(lab.name, lab.topology)
    assert left_of(lab) == []


def test_up_replaces_what_was_removed_by_hand(lab: Lab) -> None:
    up(lab, only=())
    kept = namespaces(lab)["gw1"]
    subprocess.run(["ip", "netns", "del", f"{lab.name}-web1"], check=True)
    subprocess.run(["ip", "-n", f"{lab.name}-host1", "link", "del", "vx10010"], check=True)
    run(lab, "router", ["nft", "flush", "ruleset"])
    up(lab, only=())
    assert namespaces(lab)["gw1"] == kept
    assert reaches_everything(lab)
    assert "vx10010" in run(lab, "host1", ["ls", "/sys/class/net"]).stdout
    assert "198.51.100.10 : 10.100.0.10" in run(lab, "router", ["nft", "list", "ruleset"]).stdout


def test_the_file_that_a_killed_ip_netns_leaves_is_in_nobodys_way(lab: Lab) -> None:
    up(lab, only=())
    subprocess.run(["ip", "netns", "del", f"{lab.name}-web1"], check=True)
    (NETNS_DIRECTORY / f"{lab.name}-web1").touch()
    up(lab, only=())
    assert reaches_everything(lab)
    (NETNS_DIRECTORY / f"{lab.name}-extra").touch()
    subprocess.run(["ip", "netns", "del", f"{lab.name}-web2"], check=True)
    (NETNS_DIRECTORY / f"{lab.name}-web2").touch()
    down(lab.name, lab.topology)
    assert not (NETNS_DIRECTORY / f"{lab.name}-web2").exists()
    assert (NETNS_DIRECTORY / f"{lab.name}-extra").exists()  # in no topology, hence not the lab's
    (NETNS_DIRECTORY / f"{lab.name}-extra").unlink()


def test_down_ends_everything_in_the_machines_however_it_came_there(lab: Lab) -> None:
    up(lab, only=())
    daemon = spawn(lab, "gw1", "deaf", ["/bin/sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"])
    with subprocess.Popen(["ip", "netns", "exec", f"{lab.name}-gw2", "sleep", "1000"]) as guest:
        # `ip netns exec` is in the namespace once the link says so.
        while os.stat(f"/proc/{guest.pid}/ns/net").st_ino != namespaces(lab)["gw2"]:
            assert guest.poll() is None
        down(lab.name, lab.topology)
        assert guest.wait(5) == -signal.SIGKILL
    assert not daemon.alive
    assert left_of(lab) == []


def test_down_works_without_the_state_directory(lab: Lab) -> None:
    up(lab, only=())
    spawn(lab, "gw1", "sleeper", ["/bin/sleep", "1000"])
    enter.unmount(str(lab.state / "bpf"))
    shutil.rmtree(lab.state)
    down(lab.name, lab.topology)
    assert left_of(lab) == []


def test_another_topology_is_built_anew(lab: Lab) -> None:
    up(lab, only=())
    before = namespaces(lab)
    written = yaml.safe_load(lab.topology.text)
    del written["machines"]["web2"]
    written["machines"]["web3"] = {"role": "web", "addresses": {"zone-b": "10.2.0.23"}}
    other = Lab(topology.parse(yaml.safe_dump(written, sort_keys=False)), lab.name)
    up(other, only=())
    after = namespaces(other)
    assert "web3" in after
    assert f"{lab.name}-web2" not in existing_namespaces()
    assert after["gw1"] != before["gw1"]
    # `down` goes by what was built, whichever topology it is given
    down(lab.name, lab.topology)
    assert left_of(lab) == []


def test_names_that_would_run_into_each_other_are_refused(lab: Lab) -> None:
    for name in ("", "a-b", "A", "1st", "x" * 17, "a/b"):
        with pytest.raises(LabError, match="does not name a lab"):
            Lab(lab.topology, name)


def test_the_admin_key_is_for_root_alone_and_stays(lab: Lab) -> None:
    up(lab, only=())
    key = lab.admin_key.read_text()
    assert len(key) == 32
    assert lab.admin_key.stat().st_mode & 0o777 == 0o600
    up(lab, only=())
    assert lab.admin_key.read_text() == key
