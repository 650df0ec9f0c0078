"""Script for a machine: sends Ethernet frames, one in hex per line of standard input, out of eth0."""

import socket
import sys
from collections.abc import Iterable


def send(lines: Iterable[str]) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets:
        packets.bind(("eth0", 0))
        for line in lines:
            packets.send(bytes.fromhex(line))


if __name__ == "__main__":
    send(sys.stdin)
