"""A worker as its own process, and this test as its node."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.userspace.proxy.stage import PATIENCE, Endpoint, Script, Speaker
from userspace import wire

ROOT = Path(__file__).resolve().parents[3]


class WorkerProcess:
    """`async with WorkerProcess(folder, script) as worker`: started, and `ready` taken from the wire. It listens on
    `port` with the test holding the socket too, as the node would. `splice`: the other end of its wire for splices."""

    def __init__(self, folder: Path, script: Script, *options: str, root: Path = ROOT, **settings: Any) -> None:
        self.log_path = folder / "access.log"
        self.settings = {"access_log": str(self.log_path), "drain_deadline": 5, "max_connections": 100, **settings}
        self.options = options
        self.root = root
        self.endpoint = Endpoint(script)
        self.messages: list[wire.Message] = []
        self.clients: list[Speaker] = []
        self._decoder = wire.Decoder()

    async def __aenter__(self) -> Self:
        self.address = await self.endpoint.open()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.wire, theirs = socket.socketpair()
        self.wire.setblocking(False)
        self.splice, splices = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.splice.settimeout(PATIENCE)
        fds = (theirs.fileno(), self.listening.fileno(), splices.fileno())
        arguments = [
            "--wire-fd",
            str(fds[0]),
            "--listen-fd",
            str(fds[1]),
            "--splice-fd",
            str(fds[2]),
            "--settings",
            json.dumps(self.settings),
        ]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "userspace.proxy.worker", *arguments, *self.options),
            pass_fds=fds,
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=asyncio.subprocess.PIPE,
        )
        theirs.close()
        splices.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        for client in self.clients:
            client.reset()
        self.wire.close()
        self.splice.close()
        self.listening.close()
        await self.endpoint.close()

    async def next(self, kind: str) -> wire.Message:
        """The next message of this type; others before it are dropped. Raises EOFError at the end of the wire."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while True:
                while self.messages:
                    message = self.messages.pop(0)
                    if message["type"] == kind:
                        return message
                received = await loop.sock_recv(self.wire, 1 << 20)
                if not received:
                    raise EOFError
                self.messages += self._decoder.feed(received)

    async def tell(self, message: wire.Message) -> None:
        await asyncio.get_running_loop().sock_sendall(self.wire, wire.encode(message))

    async def configure(self, revision: int = 1, **routes: str) -> wire.Message:
        """Send a snapshot with these routes (id=uri) to the endpoint; return `applied`."""
        upstream = {"id": "u1", "type": "roundrobin", "nodes": {self.address: 1}}
        objects = [["/apisix/upstreams/u1", json.dumps(upstream)]]
        for id, uri in (routes or {"r1": "/*"}).items():
            objects.append([f"/apisix/routes/{id}", json.dumps({"id": id, "uri": uri, "upstream_id": "u1"})])
        await self.tell({"type": "snapshot", "revision": revision, "objects": objects})
        return await self.next("applied")

    async def client(self) -> Speaker:
        speaker = Speaker(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(speaker)
        return speaker

    async def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal; return the exit status and what was written to standard error."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()
