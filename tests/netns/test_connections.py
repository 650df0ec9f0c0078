"""Ten thousand clients that keep their connections.

Limits on the way, smallest first, as the lab has them: 28,232 ports of one client address (ip_local_port_range of the
client); 4 x 20,000 connections (max_connections of a worker, and the descriptor limit it inherits); 65,536 sessions of
the L4 node (--max-sessions); 2 x 64,512 local ports of the L4 node per gateway. A burst waits in 4 listen queues of
4,096 (net.core.somaxconn). Towards endpoints: 4,096 per worker and endpoint at a time, of which 64 are kept idle.
"""

import json
import sys
from pathlib import Path

import pytest

from tests.netns import many_connections
from tests.netns.observe import eventually, metrics, restarts
from tests.said import SAID
from userspace.lab import demo
from userspace.lab.exec import run
from userspace.lab.lab import Lab

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240)]
COUNT = 10_000
ACTIVE = "apisix_nginx_http_current_connections state=active"


def active(lab: Lab) -> float:
    return sum(metrics(lab, machine.name)[ACTIVE] for machine in lab.topology.of_role("gateway"))


def test_ten_thousand_kept_connections_are_all_served_twice(lab: Lab) -> None:
    hosts = [path.host for path in demo.ways(lab)]
    died = restarts(lab)
    argv = [sys.executable, str(Path(many_connections.__file__)), demo.eip(lab), str(COUNT), *hosts]
    done = run(lab, "client", argv, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "first": {"200": COUNT},
        "second": {"200": COUNT},
        "open_together": COUNT,
        "failed": {},
    }
    assert restarts(lab) == died
    refused = [metrics(lab, m.name)["unilb_connections_refused_total"] for m in lab.topology.of_role("gateway")]
    assert refused == [0, 0]
    eventually("every closed connection is gone from the workers", lambda: active(lab) < 100)
    SAID.append(f"{COUNT} kept connections through the EIP, two requests on each: none lost")
