"""tcp-logger: entries are written to a TCP server."""

from collections.abc import Sequence

from userspace.plugins.jobs import Attempts, Job, StreamJob
from userspace.plugins.log_entry import Entry
from userspace.plugins.logger import Logger, encoded


class TcpLogger(Logger):
    NAME = "tcp-logger"
    WAITING = "tcp logger"

    def job(self, entries: Sequence[Entry], attempts: Attempts) -> Job:
        conf = self.conf
        data = encoded(entries, self._size == 1)
        return StreamJob(
            *(conf["host"], conf["port"], bool(conf["tls"]), data, conf["timeout"] / 1000, attempts),
            verify=conf.get("ssl_verify", False),
            name=conf.get("tls_options", ""),
        )
