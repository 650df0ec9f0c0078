"""What a lab does to the machine around it: nothing.

The lab is built inside a network and a mount namespace of the test's own, so that the comparison can be strict while
others use this machine.
"""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.netns

SCRIPT = """
import json, subprocess, sys
from pathlib import Path
from userspace.lab import topology
from userspace.lab.down import down
from userspace.lab.lab import Lab
from userspace.lab.up import up

def outside():
    shown = {"mounts": [" ".join(line.split()[:3]) for line in Path("/proc/self/mounts").read_text().splitlines()]}
    for what in ("link", "address", "route", "neighbour"):
        shown[what] = subprocess.run(["ip", what, "show"], capture_output=True, text=True, check=True).stdout
    shown["nft"] = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    shown["sysctl"] = [Path("/proc/sys/net/ipv4", name).read_text() for name in (
        "ip_forward", "conf/all/rp_filter", "conf/default/rp_filter", "ip_local_port_range")]
    shown["run"] = sorted(path.name for path in Path("/run").iterdir())
    return shown

lab = Lab(topology.load(), sys.argv[1])
seen = [outside()]
try:
    up(lab, only=("nginx",))
    seen.append(outside())
finally:
    down(lab.name, lab.topology)
seen.append(outside())
print(json.dumps(seen))
"""


def test_nothing_outside_the_namespaces_changes() -> None:
    name = f"i{os.getpid()}"
    script = [sys.executable, "-c", SCRIPT, name]
    # /run of its own: with the lab's state and `ip netns`'s folder in it, and nobody else's.
    wrapped = ["unshare", "--net", "--mount", "sh", "-c", 'mount -n -t tmpfs tmpfs /run && exec "$@"', "--", *script]
    done = subprocess.run(wrapped, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    before, during, after = json.loads(done.stdout)
    assert after == before
    for what in ("link", "address", "route", "neighbour", "nft", "sysctl"):
        assert during[what] == before[what]
    assert set(during["run"]) - set(before["run"]) == {f"{name}-lab", "netns"}
    added = {line.split()[1] for line in set(during["mounts"]) - set(before["mounts"])}
    assert {path for path in added if not path.startswith("/run/netns")} == {f"/run/{name}-lab/bpf"}
