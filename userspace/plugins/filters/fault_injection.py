"""fault-injection: a share of the requests that match is answered wrongly, or late."""

from collections.abc import Mapping
from typing import Any

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import TEXT, Outcome, Reply, Wait
from userspace.plugins.page import page
from userspace.plugins.template import Template
from userspace.routing.expr import Condition, compile_expression


class FaultInjection(Filter):
    NAME = "fault-injection"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._delay = _Chance(conf.get("delay"), env)
        self._abort = _Chance(conf.get("abort"), env)
        abort = conf.get("abort", {})
        self._body = Template(abort["body"]) if "body" in abort else None
        self._headers = [(name.encode(), Template(str(value))) for name, value in abort.get("headers", {}).items()]

    def rewrite(self, request: Request) -> Outcome:
        reply = self._reply(request) if self._abort.hits(request) else None
        if self._delay.hits(request):
            return Wait(self.conf["delay"]["duration"], reply)
        return reply

    def _reply(self, request: Request) -> Reply:
        headers = [(name, value.fill(request).encode("utf-8", "surrogateescape")) for name, value in self._headers]
        status = int(self.conf["abort"]["http_status"])
        has_kind = any(name.lower() == b"content-type" for name, _ in headers)
        if self._body is None:
            bare = page(status)
            return Reply(status, bare.body, (*(() if has_kind else bare.headers), *headers))
        body = self._body.fill(request).encode("utf-8", "surrogateescape")
        return Reply(status, body, (*(() if has_kind else (TEXT,)), *headers))


class _Chance:
    """Whom a fault hits: `vars` are expressions of which one must hold, `percentage` is the share of those."""

    def __init__(self, fault: Mapping[str, Any] | None, env: Env) -> None:
        self._is_there = fault is not None
        fault = fault or {}
        self._conditions: list[Condition] | None = (
            [compile_expression(rules) for rules in fault["vars"]] if "vars" in fault else None
        )
        self._share: float = fault.get("percentage", 100) / 100
        self._draw = env.draw

    def hits(self, request: Request) -> bool:
        if not self._is_there:
            return False
        if self._conditions and not any(condition(request) for condition in self._conditions):
            return False
        return self._share >= 1 or self._draw() < self._share
