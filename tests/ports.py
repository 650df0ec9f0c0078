"""Ports for servers that a test starts, of 127.0.0.1.

From below those that the kernel gives to connections (ip_local_port_range, from 32768 on): one of these may be a
connection's own the moment after it was free. Each process of a test run takes from a range of its own.
"""

import itertools
import os
import random
import socket

FIRST, EACH = 20_000, 1500
_PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "gw7")
_BEGIN = FIRST + EACH * min(int(_PROCESS.removeprefix("gw")), 7)
_numbers = itertools.count(random.randrange(EACH))


def unused_port() -> int:
    """A port that nobody has, and that no other call gives for the next EACH calls. Raises RuntimeError when there is
    none."""
    for number in itertools.islice(_numbers, EACH):
        port = _BEGIN + number % EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port of {_BEGIN} to {_BEGIN + EACH} is free")
