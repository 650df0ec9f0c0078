"""The process of the lines over a ring that is really pinned: it outlives the node, and ends with the datapath."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from userspace.node import bpf, bpf_load, datapath
from userspace.node.bpf_load import MapSpec
from userspace.spliced.succession import Succession

pytestmark = pytest.mark.bpf
RINGBUF = 27  # enum bpf_map_type


def test_without_the_node_it_stays_until_the_datapath_is_detached(tmp_path: Path) -> None:
    root, state = tmp_path / "bpffs", tmp_path / "state"
    root.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
    ours, theirs = socket.socketpair()
    try:
        ring = datapath.home(root) / "splice_requests"
        ring.parent.mkdir()
        fd = bpf_load.map_create("splice_requests", MapSpec(RINGBUF, 0, 0, 1 << 16, 0), 0)
        bpf.pin(fd, ring)
        os.close(fd)
        argv = ["--wire-fd", str(theirs.fileno()), "--ring", str(ring), "--state", str(state), "--user", "nobody"]
        argv += ["--settings", '{"access_log": "%s"}' % (tmp_path / "log")]
        with subprocess.Popen(
            [sys.executable, "-m", "userspace.spliced.process", *argv], pass_fds=[theirs.fileno()]
        ) as process:
            theirs.close()
            assert ours.recv(1)  # it counts
            ours.close()
            time.sleep(0.5)  # several turns
            assert process.poll() is None
            assert datapath.detach(root)
            try:
                assert process.wait(10) == 0
            finally:
                process.kill()
        assert Succession(state).take() == []
    finally:
        ours.close()
        theirs.close()
        subprocess.run(["umount", root], check=True)
