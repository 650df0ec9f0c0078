"""Small keep-alive requests through one worker of unilb, one thread of HAProxy and one worker of nginx, in turns."""

from tests.bench.peers import compare

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 64


def run() -> None:
    compare("keepalive", ROUNDS, SECONDS, CONNECTIONS)
