"""Logger: what all logger plugins share: the entry, bodies in it, and how entries are sent together."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.jobs import Attempts, Job
from userspace.plugins.log_entry import Entry, fields_of, formatted_entry, full_entry, readable
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary
from userspace.routing.expr import Condition, compile_expression

MAX_PENDING: Final = 8192
"""Entries of one filter that wait; more are dropped and counted. Metadata `max_pending_entries` says otherwise."""


class Logger(Filter):
    """Entries gather until `batch_max_size` are there, none came for `inactive_timeout`, or the first is
    `buffer_duration` old; then `job` makes one delivery of them. `WAITING`: under which name APISIX shows how many
    there are, "" for not at all."""

    WAITING: ClassVar[str] = ""

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._entries: list[Entry] = []
        self._first_at = self._last_at = 0.0
        self._timer: Any = None
        self._shown: set[tuple[str, ...]] = set()  # labels under which it is shown that some wait
        self._size: int = conf.get("batch_max_size", 1)
        self._attempts = Attempts(conf.get("max_retry_count", 0), conf.get("retry_delay", 1))
        self._logs_request_body = _condition(conf, "include_req_body")
        self._logs_response_body = _condition(conf, "include_resp_body")
        self.keeps_body = conf.get("max_req_body_bytes", 524288) if self._logs_request_body is not None else 0

    @abstractmethod
    def job(self, entries: Sequence[Entry], attempts: Attempts) -> Job:
        """Return the delivery of some entries."""

    def header_filter(self, request: Request, response: Response) -> None:
        if self._logs_response_body is None or not self._logs_response_body(request):
            return
        most: int = self.conf.get("max_resp_body_bytes", 524288)
        kept = request.state[f"{self.NAME} body"] = bytearray()

        def look(data: bytes) -> None:
            if len(kept) < most:
                kept.extend(data[: most - len(kept)])

        response.observe(look)

    def log(self, request: Request, summary: Summary) -> None:
        outbox = self.env.outbox
        if outbox is None or not self.wants(request):
            return
        if len(self._entries) >= self.env.metadata(self.NAME).get("max_pending_entries", MAX_PENDING):
            outbox.dropped += 1
            return
        self._entries.append(self.entry(request, summary))
        now = self.env.clock()
        self._last_at = now
        if len(self._entries) == 1:
            self._first_at = now
        if self.WAITING and self.env.meter is not None:
            where = request.route.route.id if request.route is not None else ""
            labels = (self.WAITING, where, request.peer.server_address)
            self._shown.add(labels)
            self.env.meter.waiting(labels, len(self._entries))
        if len(self._entries) >= self._size:
            self.flush()
        elif self._timer is None:
            self._timer = outbox.later(self.conf["inactive_timeout"], self._due)

    def wants(self, request: Request) -> bool:
        """False: this request is not logged."""
        return True

    def entry(self, request: Request, summary: Summary) -> Entry:
        """Return the entry of one request."""
        metadata = self.env.metadata(self.NAME)
        form: Mapping[str, Any] = self.conf.get("log_format") or metadata.get("log_format") or {}
        entry = formatted_entry(request, form) if form else full_entry(request, summary)
        if not form:
            entry |= fields_of(request, self.conf.get("log_format_extra") or metadata.get("log_format_extra") or {})
        if self._logs_request_body is not None and request.body and self._logs_request_body(request):
            self._put_body(entry, "request", request.body[: self.keeps_body])
        body = request.state.get(f"{self.NAME} body")
        if body is not None:
            self._put_body(entry, "response", bytes(body))
        return entry

    def flush(self) -> None:
        """Send what has gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        entries, self._entries = self._entries, []
        for labels in self._shown:
            if self.env.meter is not None:
                self.env.meter.waiting(labels, 0)
        self._shown.clear()
        if entries and self.env.outbox is not None:
            self.env.outbox.post(self.job(entries, self._attempts), len(entries))

    def close(self) -> None:
        self.flush()

    def _due(self) -> None:
        """Nobody may have come since, or somebody did: then wait on, but not beyond `buffer_duration`."""
        self._timer = None
        now = self.env.clock()
        wait = min(
            self._last_at + self.conf["inactive_timeout"] - now, self._first_at + self.conf["buffer_duration"] - now
        )
        if self.env.outbox is None or self.env.outbox.is_closing or wait <= 0.001:
            self.flush()
        else:
            self._timer = self.env.outbox.later(wait, self._due)

    @staticmethod
    def _put_body(entry: Entry, side: str, body: bytes) -> None:
        within = entry.setdefault(side, {})
        if isinstance(within, dict):
            within["body"] = readable(body.decode("utf-8", "replace"))


def encoded(entries: Sequence[Entry], alone: bool) -> bytes:
    """Entries as JSON: `alone`, one that is sent by itself, else a list."""
    return orjson.dumps(entries[0] if alone and len(entries) == 1 else entries)


def _condition(conf: Mapping[str, Any], field: str) -> Condition | None:
    """When a body is logged; None: never."""
    if not conf.get(field):
        return None
    rules = conf.get(f"{field}_expr")
    return compile_expression(rules) if rules else _always


def _always(request: Request) -> bool:
    return True
