"""api-breaker: after so many failures in a row an upstream is left alone for a while, longer each time."""

from math import ceil
from typing import Final

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import TEXT, Outcome, Reply
from userspace.plugins.page import page
from userspace.plugins.summary import Summary
from userspace.plugins.template import Template
from userspace.tally import Numbers

KEPT: Final = 86400.0
"""Seconds after the last failure or success in which they are remembered; APISIX does for as long as there is room."""


class ApiBreaker(Filter):
    """The numbers of a host and path: failures, successes since the last of them, when the breaker opened (s, or 0)."""

    NAME = "api-breaker"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._failures: int = conf["unhealthy"].get("failures", 3)
        self._successes: int = conf["healthy"].get("successes", 3)
        self._bad = frozenset(conf["unhealthy"].get("http_statuses", (500,)))
        self._good = frozenset(conf["healthy"].get("http_statuses", (200,)))
        self._most: float = conf["max_breaker_sec"]
        self._headers = [
            (one["key"].encode(), Template(one["value"])) for one in conf.get("break_response_headers", ())
        ]

    def access(self, request: Request) -> Outcome:
        now = self.env.clock()
        numbers = self.env.tally.read(_key(request), now)
        if numbers is None or not numbers[2]:
            return None
        failures, _, opened = numbers
        times = max(1, ceil(failures / self._failures))
        # 2 ** times may be beyond every float.
        pause = min(self._most, 2.0 ** min(times, 64))
        if now > opened + min(pause, self._most):
            return None
        code = int(self.conf["break_response_code"])
        if "break_response_body" not in self.conf:
            return page(code)
        headers = tuple((name, value.fill(request).encode("utf-8", "surrogateescape")) for name, value in self._headers)
        if not any(name.lower() == b"content-type" for name, _ in headers):
            headers = (TEXT, *headers)
        return Reply(code, self.conf["break_response_body"].encode(), headers)

    def log(self, request: Request, summary: Summary) -> None:
        status = _upstream_status(request)
        is_bad = status in self._bad
        if not is_bad and status not in self._good:
            return
        now = self.env.clock()

        def failed(numbers: Numbers | None) -> tuple[Numbers, float]:
            count, opened = (numbers[0] + 1, numbers[2]) if numbers is not None else (1.0, 0.0)
            return (count, 0.0, now if count % self._failures == 0 else opened), now + KEPT

        def succeeded(numbers: Numbers | None) -> tuple[Numbers, float] | None:
            if numbers is None or numbers[1] + 1 >= self._successes:
                return None
            return (numbers[0], numbers[1] + 1, numbers[2]), now + KEPT

        self.env.tally.change(_key(request), now, failed if is_bad else succeeded)


def _key(request: Request) -> str:
    return f"api-breaker:{request.host}{request.path}"


def _upstream_status(request: Request) -> int | None:
    """That of the last try; nginx's for one that got no answer."""
    said = (request.var("upstream_status") or "").replace(":", ",").rpartition(",")[2].strip()
    return int(said) if said.isdigit() else None
