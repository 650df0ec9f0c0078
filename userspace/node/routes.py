"""Which device the kernel sends packets to an address through, by netlink: one request, one answer.

pyroute2 brings an event loop of its own (links.py), and this is asked within ours.
"""

import errno
import os
import socket
import struct
import time

CACHED = 5.0  # seconds that an answer holds
MAX_CACHED = 8192
_RTM_NEWROUTE, _RTM_GETROUTE, _NLM_F_REQUEST = 24, 26, 1
_RTA_DST, _RTA_OIF = 1, 4


class Routes:
    """`device(address)`: an interface index; 0 when no route leads there. What was asked lately is remembered."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._netlink.settimeout(0.1)  # the kernel answers within the call
        self._known: dict[str, tuple[float, int]] = {}
        self._asked = 0

    def device(self, address: str) -> int:
        known = self._known.get(address)
        now = time.monotonic()
        if known is not None and now - known[0] < CACHED:
            return known[1]
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        device = self._ask(address)
        self._known[address] = (now, device)
        return device

    def close(self) -> None:
        self._netlink.close()

    def _ask(self, address: str) -> int:
        self._asked += 1
        self._netlink.send(request(address, self._asked))
        while True:
            answer = self._netlink.recv(8192)
            kind, _, sequence, _ = struct.unpack_from("=HHII", answer, 4)
            if sequence != self._asked:
                continue  # of a question whose answer came too late
            if kind != _RTM_NEWROUTE:
                (code,) = struct.unpack_from("=i", answer, 16)
                if -code in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL):
                    return 0
                raise OSError(-code, os.strerror(-code))
            return _device_in(answer)


def request(address: str, sequence: int) -> bytes:
    """Return RTM_GETROUTE for one address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    route = struct.pack("=BBBBBBBBI", family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    body = route + struct.pack("=HH", 4 + len(packed), _RTA_DST) + packed
    return struct.pack("=IHHII", 16 + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, sequence, 0) + body


def _device_in(answer: bytes) -> int:
    at, end = 16 + 12, struct.unpack_from("=I", answer)[0]
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == _RTA_OIF:
            return int(struct.unpack_from("=I", answer, at + 4)[0])
        at += length + 3 & ~3
    return 0
