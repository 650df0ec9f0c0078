"""Maps of splices without a program that uses them, and two namespaces whose sockets a splice could join."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import sizeof

from tests.packets import CLONE_NEWNET, _libc
from userspace.node import bpf, bpf_load, maps
from userspace.node.bpf_load import MapSpec
from userspace.node.maps import LAYOUT, Table

HASH, ARRAY, PERCPU_ARRAY, LRU_HASH = 1, 2, 6, 9
KINDS = {
    "sessions": (HASH, 64),
    "endpoints": (HASH, 16),
    "machine": (ARRAY, 1),
    "splices": (ARRAY, 600),
    "splice_ends": (HASH, 1200),
    "answers": (HASH, 600),
    "splice_counts": (PERCPU_ARRAY, 4),
    "splice_epochs": (ARRAY, 4),
    "guard_key": (ARRAY, 1),
    "guard_paths": (LRU_HASH, 64),
    "guard_headers": (HASH, 32),
    "guard_states": (ARRAY, 1),
}
HERE, CLIENT, ENDPOINT = "10.9.0.1", "10.9.0.2", "10.9.0.3"
UNIQUE_IP = "100.64.0.1"


def create(name: str) -> Table:
    key, value = LAYOUT[name]
    kind, entries = KINDS[name]
    fd = bpf_load.map_create(name, MapSpec(kind, sizeof(key), sizeof(value), entries, 0), 0)
    return Table(name, fd, bpf.map_shape(fd))


@contextmanager
def splice_maps() -> Iterator[dict[str, Table]]:
    tables = {name: create(name) for name in KINDS if name in LAYOUT}
    yield tables
    maps.close_tables(tables)


class Region:
    """We are in one namespace, HERE on the device `device`; CLIENT and ENDPOINT are in another."""

    def __init__(self, home: int, far: int, device: int) -> None:
        self._home, self._far = home, far
        self.device = device

    def socket_of(self, address: str) -> socket.socket:
        """Return a socket of the other namespace that will speak from this address."""
        _libc.setns(self._far, CLONE_NEWNET)
        try:
            sock = socket.socket()
            sock.settimeout(2)
            sock.bind((address, 0))
            return sock
        finally:
            _libc.setns(self._home, CLONE_NEWNET)

    def accepted(self) -> tuple[socket.socket, socket.socket]:
        """Return (the client's, ours) of a connection that a client opened."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HERE, 0))
            listener.listen()
            client = self.socket_of(CLIENT)
            client.connect(listener.getsockname())
            return client, listener.accept()[0]

    def connected(self, address: str = ENDPOINT) -> tuple[socket.socket, socket.socket]:
        """Return (the endpoint's, ours) of a connection that we opened."""
        with self.socket_of(address) as listener:
            listener.listen()
            ours = socket.socket()
            ours.settimeout(2)
            ours.connect(listener.getsockname())
            endpoint = listener.accept()[0]
            endpoint.settimeout(2)
            return endpoint, ours


@contextmanager
def region() -> Iterator[Region]:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    namespaces = []
    try:
        for _ in range(2):
            if _libc.unshare(CLONE_NEWNET) != 0:
                raise OSError("unshare")
            namespaces.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        far, home = namespaces
        run("ip link set lo up")
        run("ip link add u0 type veth peer name u1")
        subprocess.run(
            ["ip", "link", "set", "u1", "netns", f"/proc/{os.getpid()}/fd/{far}"], check=True, pass_fds=[far]
        )
        run(f"ip addr add {HERE}/24 dev u0")
        run("ip link set u0 up")
        run(f"ip route add {UNIQUE_IP} dev u0")
        _libc.setns(far, CLONE_NEWNET)
        for address in (f"{CLIENT}/24", f"{ENDPOINT}/24", f"{UNIQUE_IP}/32"):
            run(f"ip addr add {address} dev u1")
        run("ip link set u1 up")
        run("ip link set lo up")
        _libc.setns(home, CLONE_NEWNET)
        yield Region(home, far, socket.if_nametoindex("u0"))
    finally:
        _libc.setns(before, CLONE_NEWNET)
        for fd in (*namespaces, before):
            os.close(fd)


def run(line: str) -> None:
    subprocess.run(line.split(), check=True)
