"""Memory of idle connections: each has had one request answered and says nothing since.

Resident memory of all processes of a system, fresh for each round, after the connections less before them, divided by
their number. Before, as many requests as there will be connections have warmed it up, one connection at a time.
"""

import http.client
import resource
import socket
import time

from tests.bench.peers import Peer, peers
from tests.bench.report import Ratio, publish

ROUNDS = 3
CONNECTIONS = 5000
REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def run() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    samples: dict[str, dict[str, tuple[list[float], str]]] = {}
    for _ in range(ROUNDS):
        with peers("idle_timeout=600", "max_requests_per_connection=0") as running:
            for system, peer in running.items():
                metrics = samples.setdefault(system, {"memory": ([], "B/conn")})
                metrics["memory"][0].append(_memory(peer))
    publish("idle", ROUNDS, samples, [Ratio("unilb-worker", other, "memory") for other in ("haproxy", "nginx")])


def _memory(peer: Peer) -> float:
    warm = http.client.HTTPConnection("127.0.0.1", peer.port)
    for _ in range(CONNECTIONS):
        warm.request("GET", "/")
        warm.getresponse().read()
    warm.close()
    time.sleep(0.5)
    before = peer.rss
    clients = []
    for _ in range(CONNECTIONS):
        client = socket.create_connection(("127.0.0.1", peer.port))
        client.sendall(REQUEST)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        clients.append(client)
    time.sleep(1.5)
    after = peer.rss
    for client in clients:
        client.close()
    return (after - before) / CONNECTIONS
