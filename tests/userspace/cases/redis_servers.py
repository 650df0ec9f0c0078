"""The Redis servers that cases name: one, the master that a sentinel watches, a cluster, and one that speaks TLS."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.control.certificates import pair
from tests.ports import unused_port
from tests.redis_server import RedisServer, cluster, sentinel, tls_options

PORT, SENTINEL, MASTER = 6379, 26379, 6479
CLUSTER, TLS_CLUSTER = (5000, 5001), 7000
USER, PASSWORD = "alice", "somepassword"
# Where cases say `$ENV://REDIS_NODE_0`.
ENVIRONMENT = {f"REDIS_NODE_{number}": f"127.0.0.1:{port}" for number, port in enumerate(CLUSTER)}


class RedisServers:
    """Each is started when the first case wants it, and ends with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._running: dict[str, Sequence[RedisServer]] = {}

    def start(self, policies: frozenset[str]) -> None:
        """Have the servers of these policies run."""
        for policy in sorted(policies - self._running.keys()):
            self._running[policy] = getattr(self, f"_{policy.replace('-', '_')}")()

    def flush(self) -> None:
        """Nothing was counted yet."""
        for servers in self._running.values():
            for server in servers:
                server.call("FLUSHALL")

    def close(self) -> None:
        self._stack.close()

    def _redis(self) -> Sequence[RedisServer]:
        server = self._stack.enter_context(RedisServer(self._folder, port=PORT))
        server.call("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
        return [server]

    def _redis_sentinel(self) -> Sequence[RedisServer]:
        master = self._stack.enter_context(RedisServer(self._folder, port=MASTER))
        self._stack.enter_context(sentinel(self._folder, master, port=SENTINEL))
        return [master]

    def _redis_cluster(self) -> Sequence[RedisServer]:
        certificate, key = pair("test.com")
        files = self._folder / "redis.pem", self._folder / "redis.key"
        for file, text in zip(files, (certificate, key), strict=True):
            file.write_text(text)
        options = [*tls_options(TLS_CLUSTER, *files), ("tls-cluster", "yes")]
        return [
            *self._stack.enter_context(cluster(self._folder, CLUSTER)),
            *self._stack.enter_context(cluster(self._folder, [unused_port()], *options)),
        ]
