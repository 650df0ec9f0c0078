"""udp-logger: entries are sent to a UDP server, those of one batch in one datagram."""

from collections.abc import Sequence

from userspace.plugins.jobs import Attempts, DatagramJob, Job
from userspace.plugins.log_entry import Entry
from userspace.plugins.logger import Logger, encoded


class UdpLogger(Logger):
    NAME = "udp-logger"
    WAITING = "udp logger"

    def job(self, entries: Sequence[Entry], attempts: Attempts) -> Job:
        conf = self.conf
        data = encoded(entries, self._size == 1)
        return DatagramJob(conf["host"], conf["port"], data, float(conf["timeout"]), attempts)
