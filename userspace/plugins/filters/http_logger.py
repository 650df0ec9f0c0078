"""http-logger: entries are posted to an HTTP server."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import orjson

from userspace.plugins.env import Env
from userspace.plugins.filter import Conf
from userspace.plugins.jobs import Attempts, HttpJob, Job
from userspace.plugins.log_entry import Entry
from userspace.plugins.logger import Logger, encoded


class HttpLogger(Logger):
    NAME = "http-logger"
    WAITING = "http logger"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        uri = urlsplit(conf["uri"])
        self._tls = uri.scheme == "https"
        self._host = uri.hostname or ""
        self._port = uri.port or (443 if self._tls else 80)
        target = (uri.path or "/") + (f"?{uri.query}" if uri.query else "")
        head = f"POST {target} HTTP/1.1\r\nHost: {uri.netloc.rpartition('@')[2]}\r\nUser-Agent: unilb\r\n"
        if "auth_header" in conf:
            head += f"Authorization: {conf['auth_header']}\r\n"
        self._head = head

    def job(self, entries: Sequence[Entry], attempts: Attempts) -> Job:
        kind = "application/json"
        if self.conf["concat_method"] == "json" or self._size == 1:
            body = encoded(entries, self._size == 1)
        else:
            body, kind = b"\n".join(orjson.dumps(entry) for entry in entries), "text/plain"
        head = f"{self._head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        verify = bool(self.conf["ssl_verify"])
        timeout = float(self.conf["timeout"])
        return HttpJob(self._host, self._port, self._tls, verify, head.encode() + body, timeout, attempts)
