"""syslog: entries are sent to a syslog server, each as one message of RFC 5424."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson

from userspace.plugins.jobs import Attempts, DatagramJob, Job, StreamJob
from userspace.plugins.log_entry import Entry
from userspace.plugins.logger import Logger

PRIORITY: Final = 46  # facility syslog (5), severity informational (6): 5 * 8 + 6
_HOSTNAME: Final = os.uname().nodename


class Syslog(Logger):
    NAME = "syslog"
    WAITING = "sys logger"

    def job(self, entries: Sequence[Entry], attempts: Attempts) -> Job:
        conf = self.conf
        now = datetime.fromtimestamp(self.env.now(), UTC)
        time = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
        head = f"<{PRIORITY}>1 {time} {_HOSTNAME} apisix {os.getpid()} - - ".encode()
        data = b"".join(head + orjson.dumps(entry) + b"\n" for entry in entries)
        timeout = conf["timeout"] / 1000
        if conf["sock_type"] == "udp":
            return DatagramJob(conf["host"], conf["port"], data, timeout, attempts)
        verify = conf.get("ssl_verify", False)
        return StreamJob(conf["host"], conf["port"], bool(conf["tls"]), data, timeout, attempts, verify)
