"""What a worker asks of its node about splices, and is answered: one JSON object per datagram, sockets beside it.

A SOCK_SEQPACKET pair per worker, beside the wire of userspace/wire.py, which could carry no file descriptors. What
arrives is checked whole: a worker reads hostile bytes, and the node acts as root.
"""

import asyncio
import os
import socket
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from userspace.node.splice_abi import STICKY, Guard, Kind

MAX_BYTES = 65536
MAX_CLIENT_BYTES = 1024
MAX_NAME = 256
AT_ONCE = 32  # datagrams read in a row; other workers and events come in between
_U64, _U32 = (1 << 64) - 1, (1 << 32) - 1
_SEND_BUFFER = 1 << 20
_ROOM = socket.CMSG_SPACE(8)  # for two descriptors


@dataclass(frozen=True, slots=True)
class SpliceRequest:
    """tail: bytes that the client will have been sent when the splice begins. edition: what it was decided under.
    owner: route, upstream, endpoint. client: what the worker wants to hear again when the connection comes back. log:
    what the access log says of all that the splice carries; None where it says nothing."""

    tag: int
    kind: Kind
    tail: int
    edition: int
    owner: tuple[str, str, str]
    guard: Guard
    client: Any
    log: "Logged | None" = None


@dataclass(frozen=True, slots=True)
class Logged:
    """revision: of the configuration that decided. sticky: one of splice_abi.STICKY. vpc_id: the endpoint's."""

    revision: int
    sticky: str | None
    vpc_id: str | None


@dataclass(frozen=True, slots=True)
class Covered:
    """Another path, by its hash, of which the decision holds."""

    decision: int
    path: int


class Malformed(ValueError):
    """A message that is none; `tag` is the request's, if it could be read."""

    def __init__(self, why: str, tag: int | None) -> None:
        super().__init__(why)
        self.tag = tag


def parse(datagram: bytes) -> SpliceRequest | Covered:
    """Return what a worker says. Raises Malformed."""
    tag = None
    try:
        message = orjson.loads(datagram)
        tag = _whole(message["tag"], _U32) if "tag" in message else None
        if message["type"] == "covered":
            return Covered(_number(message["decision"]), _number(message["path"]))
        if message["type"] != "splice" or tag is None:
            raise ValueError("neither a splice nor what one covers")
        kind = Kind[message["kind"].upper()]
        client = message.get("client")
        if len(orjson.dumps(client)) > MAX_CLIENT_BYTES:
            raise ValueError("client is too long")
        return SpliceRequest(
            tag=tag,
            kind=kind,
            tail=_whole(message["tail"], _U32),
            edition=_whole(message["edition"], _U64),
            owner=(_name(message["route"]), _name(message["upstream"]), _name(message["endpoint"])),
            guard=_guard(message["guard"]) if kind is Kind.GUARDED else Guard(),
            client=client,
            log=_logged(message["log"]) if message.get("log") is not None else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{type(error).__name__}: {error}", tag) from None


def _guard(doc: Mapping[str, Any]) -> Guard:
    guard = Guard(
        extra_name=_number(doc["extra_name"]), decision=_number(doc["decision"]), mask=_whole(doc["mask"], 0xFF)
    )
    hashes = [_number(text) for text in doc["hashes"]]
    guard.hashes[:] = hashes  # raises when there are not as many as there are attributes
    return guard


def _logged(doc: Mapping[str, Any]) -> Logged:
    sticky, vpc_id = doc["sticky"], doc["vpc_id"]
    if sticky not in STICKY:
        raise ValueError(f"{sticky!r} is no state of a session")
    return Logged(_whole(doc["revision"], _U64), sticky, None if vpc_id is None else _name(vpc_id))


def _number(text: str) -> int:
    """Read a 64-bit number, which JSON of JavaScript's kind would round and so comes as text."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) > _U64:
        raise ValueError(f"{text!r} is no number of 64 bits")
    return int(text)


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is no number up to {most}")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise ValueError("a name is text, and not too long")
    return value


class SpliceWire:
    """The node's end. on_datagram gets the bytes and the descriptors that came along, which it owns; on_end is called
    once. A worker that does not read what it is sent has its wire closed: it goes on by itself then."""

    def __init__(
        self,
        sock: socket.socket,
        on_datagram: Callable[["SpliceWire", bytes, list[int]], None],
        on_end: Callable[["SpliceWire"], None],
    ) -> None:
        self._sock = sock
        self._on_datagram = on_datagram
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.is_open = True
        sock.setblocking(False)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, message: Mapping[str, object], fds: tuple[int, ...] = ()) -> bool:
        """Return whether the worker will get it."""
        if not self.is_open:
            return False
        try:
            socket.send_fds(self._sock, [orjson.dumps(message)], list(fds))
        except OSError:
            self.close()
            return False
        return True

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self._on_end(self)

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            if not self.is_open:
                return
            try:
                data, beside, flags, _ = self._sock.recvmsg(MAX_BYTES, _ROOM, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            fds = [fd for _, _, raw in beside for fd in array("i", raw[: len(raw) & ~3])]
            if not data:
                for fd in fds:
                    os.close(fd)
                self.close()
                return
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                # No room for its descriptors, or longer than any of ours: the worker hears nothing and goes on.
                for fd in fds:
                    os.close(fd)
                fds = []
            self._on_datagram(self, data, fds)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the node's end and the worker's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours, theirs
