"""The node at the other end of a worker's splice wire, as far as sockets can play it."""

import asyncio
import socket
from functools import partial
from typing import Any, NamedTuple, Self

import orjson

from tests.userspace.proxy.stage import PATIENCE
from userspace.proxy.handed_back import adopt
from userspace.proxy.shared import Shared
from userspace.proxy.splicing import Splicing

ESTABLISHED = 1


class Question(NamedTuple):
    """What the worker asked, with duplicates of its sockets."""

    message: dict[str, Any]
    client: socket.socket
    endpoint: socket.socket

    @property
    def tag(self) -> int:
        return int(self.message["tag"])

    def states(self) -> list[int]:
        """Of both connections; a FIN or RST of either side changes it."""
        return [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] for sock in (self.client, self.endpoint)]


class FakeNode:
    """`with FakeNode(stage.shared) as node`: the worker may ask from now on."""

    def __init__(self, shared: Shared, epoch: int = 1) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Queue[tuple[dict[str, Any], list[int]]] = asyncio.Queue()
        self._sockets: list[socket.socket] = []
        self.troubles: list[str] = []
        self.covered: list[dict[str, Any]] = []  # what came without descriptors
        self.wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.wire.setblocking(False)
        self.splicing = Splicing(self._loop, theirs, shared.counters, partial(adopt, shared), self.troubles.append)
        shared.splicing = self.splicing
        self.key(epoch)
        self._loop.add_reader(self.wire.fileno(), self._read)

    def key(self, epoch: int, edition: int = 1) -> None:
        self.splicing.take_key(
            {"type": "splice_key", "seed": "1234567", "factor": "987654321", "epoch": epoch, "edition": edition}
        )

    def _read(self) -> None:
        data, fds, _, _ = socket.recv_fds(self.wire, 65536, 4)
        if data and not fds:
            self.covered.append(orjson.loads(data))
        elif data:
            self._came.put_nowait((orjson.loads(data), fds))
        else:
            self._loop.remove_reader(self.wire.fileno())

    async def question(self) -> Question:
        message, fds = await asyncio.wait_for(self._came.get(), PATIENCE)
        assert message["type"] == "splice", message
        client, endpoint = (socket.socket(fileno=fd) for fd in fds)
        self._sockets += [client, endpoint]
        for sock in (client, endpoint):
            sock.setblocking(False)
        return Question(message, client, endpoint)

    @property
    def is_asked(self) -> bool:
        return not self._came.empty()

    def tell(self, *fds: int, **message: Any) -> None:
        socket.send_fds(self.wire, [orjson.dumps(message)], list(fds))

    def spliced(self, question: Question) -> None:
        self.tell(type="spliced", tag=question.tag, id=1)

    def refused(self, question: Question, reason: str) -> None:
        question.client.close()
        question.endpoint.close()
        self.tell(type="refused", tag=question.tag, reason=reason)

    def back(self, question: Question, **message: Any) -> None:
        self.tell(question.client.fileno(), type="back", id=1, **message)
        question.client.close()
        question.endpoint.close()

    def die(self) -> None:
        """As the kernel leaves it: all its descriptors are closed."""
        if self.wire.fileno() >= 0:
            self._loop.remove_reader(self.wire.fileno())
        for sock in (self.wire, *self._sockets):
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.die()
        self.splicing.close()
        assert not self.troubles, self.troubles
