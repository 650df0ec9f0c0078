"""A name server for tests: answers from a table, and remembers what it was asked."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

A, AAAA, SRV = 1, 28, 33


def address(text: str) -> bytes:
    """The data of an A or AAAA record."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def service(priority: int, weight: int, port: int, target: str) -> bytes:
    """The data of an SRV record."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in target.split("."))
    return struct.pack("!HHH", priority, weight, port) + labels + b"\0"


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """`records`: by name and type, the TTL and the data of each. A name that is not there is NXDOMAIN; one of
    `silent` gets no answer."""

    records: dict[tuple[str, int], tuple[int, list[bytes]]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.address = "{}:{}".format(*transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, peer: object) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, kind = ".".join(labels).lower(), int.from_bytes(data[at + 1 : at + 3], "big")
        self.asked.append((name, kind))
        if name in self.silent:
            return
        ttl, found = self.records.get((name, kind), (0, []))
        is_known = any(known == name for known, _ in self.records)
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(each)) + each for each in found)
        flags = 0x8180 | (0 if is_known else 3)
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        self.transport.sendto(head + data[12 : at + 5] + answers, peer)


@asynccontextmanager
async def name_server(**addresses: tuple[str, ...]) -> AsyncIterator[NameServer]:
    """Serve on loopback until the block ends. `addresses`: of `NAME.example`, with a TTL of 1 s."""
    records = {}
    for label, texts in addresses.items():
        for kind in (A, AAAA):
            of_kind = [address(text) for text in texts if (":" in text) == (kind == AAAA)]
            records[f"{label}.example", kind] = (1, of_kind)
    server = NameServer(records)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
        await asyncio.sleep(0)
