"""A network of its own for one process and its children: loopback, APISIX's host names, APISIX's upstream servers.

The cases name fixed ports (1980 to 1984, 9091, dead ones) and hosts. In a network namespace with nothing but loopback
they are free, whatever else the machine runs, and several replays run side by side.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.control.admin.apisix_cases import CASES
from tests.control.certificates import pair

HOSTS = """\
127.0.0.1 localhost test.com test1.com test2.com foo.com ttl.test.local
::1 localhost ip6-localhost ipv6.test.local
"""
# Where upstreams.py listens last.
_LAST = ("127.0.0.5", 1983)


def inside(command: list[str]) -> list[str]:
    """A command that runs `command` in namespaces of its own; root is not needed where users may make namespaces."""
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *own_user, "--net", "--mount", "--", *command]


def furnish(folder: Path) -> None:
    """Called once inside: bring loopback up and put the host names in place."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


@contextmanager
def upstream_servers(folder: Path) -> Iterator[None]:
    """upstreams.py, until the block ends."""
    certificate, key = pair("test.com")
    (folder / "cert.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)
    command = [sys.executable, str(CASES / "upstreams.py")]
    command += ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _listens(_LAST):
            assert process.poll() is None and time.monotonic() < deadline, "upstreams.py does not start"
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0
