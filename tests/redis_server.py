"""redis-server processes for tests: started by path on free ports, ended by pid. No service is relied on."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.ports import unused_port

BINARY = "/usr/bin/redis-server"
_PATIENCE = 30.0


class RedisServer:
    """One server that keeps nothing on disk but what its role makes it. `options`: of redis.conf, name and values."""

    def __init__(self, folder: Path, *options: Sequence[str], port: int = 0, mode: Sequence[str] = ()) -> None:
        self.port = port or unused_port()
        self._folder = folder
        self._options = options
        self._mode = mode
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self._folder / str(self.port)
        folder.mkdir(exist_ok=True)
        lines = [("bind", "127.0.0.1"), ("port", str(self.port)), ("dir", str(folder)), ("save", '""'), *self._options]
        file = folder / "redis.conf"
        file.write_text("".join(" ".join(line) + "\n" for line in lines))
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen([BINARY, str(file), *self._mode], stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while not self._listens():
            assert self._process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-800:]
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def call(self, *words: str) -> str:
        """What a command answers, as it stands on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), _PATIENCE) as connection:
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{parts}".encode())
            return connection.recv(1 << 20).decode()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def tls_options(port: int, certificate: Path, key: Path) -> list[tuple[str, ...]]:
    """For a server that speaks TLS too, there, and asks no client for a certificate."""
    files = [("tls-cert-file", str(certificate)), ("tls-key-file", str(key)), ("tls-ca-cert-file", str(certificate))]
    return [("tls-port", str(port)), *files, ("tls-auth-clients", "no")]


@contextmanager
def cluster(folder: Path, ports: Sequence[int], *options: Sequence[str]) -> Iterator[list[RedisServer]]:
    """A cluster of masters without replicas, one per port, ready to be asked. `options`: of each besides."""
    with ExitStack() as stack:
        share = 16384 // len(ports) + 1
        servers = []
        buses = [unused_port() for _ in ports]
        for number, port in enumerate(ports):
            node = [("cluster-enabled", "yes"), ("cluster-port", str(buses[number]))]
            server = stack.enter_context(RedisServer(folder, *node, *options, port=port))
            server.call("CLUSTER", "ADDSLOTSRANGE", str(number * share), str(min((number + 1) * share, 16384) - 1))
            # One that is gone takes nothing from what the others answer.
            server.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
            server.call("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            servers.append(server)
        for server in servers[1:]:
            server.call("CLUSTER", "MEET", "127.0.0.1", str(servers[0].port), str(buses[0]))
        deadline = time.monotonic() + _PATIENCE
        for server in servers:
            while (
                "cluster_state:ok" not in (info := server.call("CLUSTER", "INFO"))
                or f"cluster_known_nodes:{len(ports)}" not in info
            ):
                assert time.monotonic() < deadline, info
                time.sleep(0.02)
        yield servers


@contextmanager
def sentinel(folder: Path, master: RedisServer, name: str = "mymaster", port: int = 0) -> Iterator[RedisServer]:
    """A sentinel that watches `master`."""
    monitor = ("sentinel", "monitor", name, "127.0.0.1", str(master.port), "1")
    options = [monitor, ("sentinel", "down-after-milliseconds", name, "500")]
    with RedisServer(folder, *options, port=port, mode=("--sentinel",)) as server:
        yield server
