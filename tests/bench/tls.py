"""Small requests over TLS 1.3: kept connections, a connection each, and the memory of an idle one. An ECDSA key."""

import resource
import socket
import ssl
import time
from collections.abc import Mapping

from tests.bench.peers import NAME, TLS, Peer, cpu, load, peers
from tests.bench.report import Ratio, publish

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 64
IDLE = 2000


def run() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    samples: dict[str, dict[str, tuple[list[float], str]]] = {}
    with peers("max_requests_per_connection=0", "idle_timeout=600") as running:
        # First: memory of processes that have not been loaded yet is not reused.
        for system, peer in running.items():
            samples[system] = {"memory": ([_memory(peer)], "B/conn")}
        for _ in range(ROUNDS):
            _round(running, samples)
    metrics = ("requests", "cpu", "handshakes", "handshake cpu", "memory")
    publish("tls", ROUNDS, samples, [Ratio("unilb-worker", o, m) for o in ("haproxy", "nginx") for m in metrics])


def _round(running: Mapping[str, Peer], samples: dict[str, dict[str, tuple[list[float], str]]]) -> None:
    for system, peer in running.items():
        for rate_name, cpu_name, options in (
            ("requests", "cpu", ()),
            ("handshakes", "handshake cpu", ("-H", "Connection: close")),
        ):
            before = cpu(peer.pid)
            rate, p99 = load(peer.port, CONNECTIONS, SECONDS, *options, tls=True)
            used = (cpu(peer.pid) - before) / (rate * SECONDS) * 1e6
            for name, value, unit in (
                (rate_name, rate, "1/s"),
                (cpu_name, used, "us"),
                (f"{rate_name} p99", p99, "ms"),
            ):
                samples[system].setdefault(name, ([], unit))[0].append(value)


def _memory(peer: Peer) -> float:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def opened() -> ssl.SSLSocket:
        client = context.wrap_socket(socket.create_connection(("127.0.0.1", peer.port + TLS)), server_hostname=NAME)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 "), (peer, answer)
        return client

    for _ in range(200):
        opened().close()
    time.sleep(0.5)
    before = peer.rss
    clients = [opened() for _ in range(IDLE)]
    time.sleep(1.5)
    after = peer.rss
    for client in clients:
        client.close()
    return (after - before) / IDLE
