"""Whom a socket really talks to, and for whom that one speaks: a TOA has getpeername() answer with the second.

The kernel's answer is changed by what sock_toa.c keeps on the socket; the truth is had by taking that away for a
moment. Nobody else asks meanwhile: the worker that owns the socket waits for our answer.
"""

import os
import socket
import struct

from userspace.node import abi, bpf

Name = tuple[str, int]


class ToaPeers:
    """program: toa_peername's file descriptor, None where it is not loaded."""

    def __init__(self, program: int | None) -> None:
        self._clients = bpf.map_of_program(program, bpf.SK_STORAGE) if program is not None else None

    def of(self, sock: socket.socket) -> tuple[Name, Name]:
        """Return (peer, client); they are the same without a TOA."""
        named = sock.getpeername()[:2]
        if self._clients is None:
            return named, named
        key = struct.pack("=i", sock.fileno())
        told = bpf.map_lookup(self._clients, key, len(bytes(abi.Client())))
        if told is None:
            return named, named
        bpf.map_delete(self._clients, key)
        try:
            peer = sock.getpeername()[:2]
        finally:
            bpf.map_update(self._clients, key, told)
        client = abi.Client.from_buffer_copy(told)
        return peer, (abi.text(client.addr), client.port)

    def restore(self, sock: socket.socket, client: Name | None) -> Name:
        """Have getpeername() answer with a client that is not the peer; return what it answers."""
        named: Name = sock.getpeername()[:2]
        if client is None or client == named:
            return named
        if self._clients is not None:
            told = abi.Client(addr=abi.addr(client[0]), port=client[1])
            bpf.map_update(self._clients, struct.pack("=i", sock.fileno()), bytes(told))
        return client

    def close(self) -> None:
        if self._clients is not None:
            os.close(self._clients)
            self._clients = None
