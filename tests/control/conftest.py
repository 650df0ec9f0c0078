"""A real etcd for the tests that need one."""

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ports import unused_port


class EtcdServer:
    """One etcd process on free ports, with its data in a directory of the test."""

    def __init__(self, directory: Path, *options: str, scheme: str = "http") -> None:
        self.directory = directory
        self._scheme = scheme
        self._options = options
        self._ports = [unused_port() for _ in range(3)]
        self._client_ports = [self._ports[0], unused_port()]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._client_ports[0]}"

    @property
    def url(self) -> str:
        return f"etcd://{self.address}"

    def start(self) -> None:
        client, peer = f"{self._scheme}://{self.address}", f"http://127.0.0.1:{self._ports[1]}"
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("etcd", "--data-dir", str(self.directory), "--name", "one", "--logger", "zap"),
                    *("--listen-metrics-urls", f"http://127.0.0.1:{self._ports[2]}"),
                    *("--listen-client-urls", client, "--advertise-client-urls", client),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--initial-cluster", f"one={peer}", "--unsafe-no-fsync", *self._options),
                ],
                stdout=log,
                stderr=log,
            )
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[2]}/health", timeout=1) as answer:
                    if b'"true"' in answer.read():
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, "etcd does not start"
            assert self._process is None or self._process.poll() is None, "etcd has ended"
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def move(self) -> None:
        """Let the next start be at another address, where nobody looks for it."""
        self._client_ports.reverse()

    def call(self, path: str, **body: object) -> dict[str, object]:
        """POST to the JSON gateway."""
        request = urllib.request.Request(f"http://{self.address}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            parsed: dict[str, object] = json.load(answer)
            return parsed


@pytest.fixture
def start_etcd(tmp_path: Path) -> Iterator[Callable[..., EtcdServer]]:
    """Start as many as a test wants; each is killed at its end."""
    servers: list[EtcdServer] = []

    def start(*options: str, scheme: str = "http") -> EtcdServer:
        server = EtcdServer(tmp_path / f"etcd-{len(servers)}", *options, scheme=scheme)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def shared_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """One for all tests that neither stop nor compact it; each uses keys of its own."""
    server = EtcdServer(tmp_path_factory.mktemp("etcd") / "shared")
    server.start()
    yield server
    server.kill()
