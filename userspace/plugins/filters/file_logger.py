"""file-logger: each entry becomes a line of a file."""

from collections.abc import Sequence

import orjson

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf
from userspace.plugins.jobs import Attempts, FileJob, Job
from userspace.plugins.log_entry import Entry
from userspace.plugins.logger import Logger
from userspace.routing.expr import compile_expression


class FileLogger(Logger):
    NAME = "file-logger"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        rules = conf.get("match")
        self._match = [compile_expression(each) for each in rules] if rules else None

    def wants(self, request: Request) -> bool:
        if not self._path:
            return False
        return self._match is None or any(condition(request) for condition in self._match)

    def job(self, entries: Sequence[Entry], attempts: Attempts) -> Job:
        lines = (orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
        return FileJob(self._path, b"".join(lines), attempts)

    @property
    def _path(self) -> str:
        path: str = self.conf.get("path") or self.env.metadata(self.NAME).get("path") or ""
        return path
