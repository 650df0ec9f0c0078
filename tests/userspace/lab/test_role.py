"""userspace/lab/role.py: a machine that finds out its interfaces, and becomes one of the region."""

import json
import os
import subprocess
import sys

import pytest

from userspace.lab.apply import LabError
from userspace.lab.role import nics_here
from userspace.lab.topology import Topology


def addresses(**links: str) -> str:
    return json.dumps([{"ifname": name, "addr_info": [{"local": address}]} for name, address in links.items()])


def test_interfaces_are_found_by_their_addresses(region: Topology) -> None:
    shown = addresses(eth0="10.0.2.15", eth1="10.0.0.1", eth2="203.0.113.1", eth3="10.2.0.1", eth4="10.1.0.1")
    found = nics_here(region.router, shown)
    assert found == {"ext": "eth2", "core": "eth1", "zone-a": "eth4", "zone-b": "eth3"}


def test_a_machine_with_other_addresses_is_not_the_one(region: Topology) -> None:
    with pytest.raises(LabError, match=r"this is not gw1: no interface has 10\.1\.0\.11"):
        nics_here(region.machines["gw1"], addresses(eth0="10.0.2.15", eth1="10.1.0.12"))


# What a virtual machine of the region is when Vagrant hands it over: an interface with the address, and nothing else.
VIRTUAL_MACHINE = """
set -e
mount -n -t tmpfs tmpfs /run
ip link set lo up
ip link add enp0s8 type bridge
ip address add 10.1.0.31/24 dev enp0s8
lab() { "$PYTHON" -m userspace.cli lab "$@" --name "$NAME"; }
lab role host1 --print
echo ---
lab role host1
lab role host1
ip netns list | cut -d' ' -f1
ip route show default
curl -sS --interface enp0s8 http://10.1.0.31/ 2>&1 || true
ip netns exec "$NAME-green1" curl -sS http://192.168.0.10/
bridge fdb show dev vx10020 | grep -c '02:75.*dst 10.2.0.12'
echo ---
lab down
ip netns list
ls /run
"""


@pytest.mark.netns
def test_a_virtual_machine_takes_its_role_twice_and_gives_it_up() -> None:
    name = f"v{os.getpid()}"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", VIRTUAL_MACHINE],
        env={**os.environ, "PYTHON": sys.executable, "NAME": name},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    shown, taken, given_up = done.stdout.split("---\n")
    assert f"ip -batch - <<'END'\nnetns add {name}-blue1\nEND\n" in shown
    namespaces = {f"{name}-{vm}" for vm in ("blue1", "green1", "six1")}
    *lines, route, refused, green1, gateways = taken.splitlines()
    assert set(lines) == namespaces
    assert route.split() == ["default", "via", "10.1.0.1", "dev", "enp0s8"]
    assert "Failed to connect" in refused  # the host itself serves nothing
    assert json.loads(green1)["machine"] == "green1"
    assert gateways == "1"
    assert given_up == ""
