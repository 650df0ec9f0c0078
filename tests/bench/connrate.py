"""One request per connection: a connection is accepted, answered from a kept connection to the endpoint, and closed."""

from tests.bench.peers import compare

ROUNDS = 5
SECONDS = 4
CONNECTIONS = 64


def run() -> None:
    compare("connrate", ROUNDS, SECONDS, CONNECTIONS, "-H", "Connection: close")
