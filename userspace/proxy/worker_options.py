"""What a worker is started with: its command line, the sockets that it inherits, the limits that these leave it."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace as replace_settings
from typing import Final

from userspace.config.settings import Settings

SPARE_DESCRIPTORS: Final = 128  # wires, listeners, log, idle upstream connections in passing


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="userspace.proxy.worker", description="One worker; started by the node.")
    parser.add_argument("--wire-fd", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, action="append", default=[])
    parser.add_argument("--listen-tls-fd", type=int, action="append", default=[])
    parser.add_argument("--tally-fd", type=int, help="memory for counts that all workers share")
    parser.add_argument("--splice-fd", type=int, help="the wire to the node's splicing")
    parser.add_argument("--listen-stream-fd", type=int, action="append", default=[])
    parser.add_argument("--settings", default="{}", help="JSON object, see userspace/config/settings.py")
    parser.add_argument("--user", help="drop to this user when started as root")
    return parser.parse_args(argv)


def port_of(fds: Sequence[int]) -> int | None:
    """The port of the first of some listening sockets."""
    for fd in fds:
        with socket.socket(fileno=os.dup(fd)) as listening:
            return int(listening.getsockname()[1])
    return None


def within(descriptors: int, settings: Settings) -> Settings:
    """Return settings that cannot run out of descriptors: a client and an upstream connection take one each."""
    most = max(1, (descriptors - SPARE_DESCRIPTORS) // 2)
    if settings.max_connections <= most:
        return settings
    sys.stderr.write(f"worker {os.getpid()}: max_connections lowered to {most}: only {descriptors} descriptors\n")
    return replace_settings(settings, max_connections=most)
