"""limit-count: so many requests in a window of time."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import Amount, Key, refusal, scope, unserved_policy
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.response import Response
from userspace.tally import Numbers

_HEADERS: Final = (
    ("limit_header", "X-RateLimit-Limit"),
    ("remaining_header", "X-RateLimit-Remaining"),
    ("reset_header", "X-RateLimit-Reset"),
)
_FAILED: Final = Reply.json(500, {"error_msg": "failed to limit count"})


class Rule(NamedTuple):
    """`prefix`: of its headers; None: those of the metadata."""

    most: Amount
    window: Amount
    key: Key
    prefix: str | None


class Quota(NamedTuple):
    """What is left of one window: `reset` in seconds from now."""

    limit: float
    remaining: float
    reset: float


class LimitCount(Filter):
    NAME = "limit-count"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        group = conf.get("group")
        self._scope = f"limit-count:{group if group is not None else scope(conf)}"
        self._refusal = refusal(conf)
        self._is_sliding = conf.get("window_type") == "sliding"
        self._has_rules = "rules" in conf
        self._rules = tuple(_rules(conf))

    @classmethod
    def unserved(cls, conf: Mapping[str, Any]) -> str | None:
        return unserved_policy(conf)

    def access(self, request: Request) -> Outcome:
        is_limited = False
        for rule in self._rules:
            key = rule.key.found(request) if self._has_rules else rule.key.of(request)
            count, window = rule.most.of(request), rule.window.of(request)
            if key is None or count is None or window is None or count <= 0 or window <= 0:
                continue
            is_limited = True
            quota = self._take(f"{self._scope}:{key}:{count}:{window}", count, window)
            self._show(request, rule, quota)
            if quota.remaining < 0:
                return self._refusal
        return None if is_limited or self.conf["allow_degradation"] else _FAILED

    def header_filter(self, request: Request, response: Response) -> None:
        for name, value in request.state.get(self.NAME, ()):
            response.set_header(name, value)

    def _take(self, key: str, count: float, window: float) -> Quota:
        """Count one request."""
        env = self.env
        now = env.clock()
        if self._is_sliding:
            return _slide(env, key, count, window, now)
        left: list[float] = []

        def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
            used, ends = (numbers[0] + 1, numbers[1]) if numbers is not None else (1.0, now + window)
            left[:] = used, ends
            return (used, ends, 0.0), ends

        env.tally.change(key, now, one_more)
        used, ends = left
        return Quota(count, count - used, -int(-(ends - now) // 1))

    def _show(self, request: Request, rule: Rule, quota: Quota) -> None:
        if not self.conf["show_limit_quota_header"]:
            return
        metadata = self.env.metadata(self.NAME)
        values = (quota.limit, max(0, quota.remaining), quota.reset)
        headers = request.state.setdefault(self.NAME, [])
        for (field, default), value in zip(_HEADERS, values, strict=True):
            name = metadata.get(field, default) if rule.prefix is None else f"X-{rule.prefix}-{default[2:]}"
            headers.append((name.encode(), f"{value:.14g}".encode()))


def _rules(conf: Mapping[str, Any]) -> list[Rule]:
    if "rules" not in conf:
        key = Key(conf["key"], conf["key_type"])
        return [Rule(Amount(conf["count"]), Amount(conf["time_window"]), key, None)]
    return [
        Rule(
            Amount(rule["count"]),
            Amount(rule["time_window"]),
            Key(rule["key"], "var_combination"),
            str(rule.get("header_prefix", number)),
        )
        for number, rule in enumerate(conf["rules"], 1)
    ]


def _slide(env: Env, key: str, count: float, window: float, now: float) -> Quota:
    """The window slides: of the fixed window before this one that share counts which it still covers. A request that is
    refused is not counted."""
    found: list[float] = []

    def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
        number = now // window
        before, used, last = numbers if numbers is not None else (0.0, 0.0, number)
        if last != number:
            before, used = (used, 0.0) if last == number - 1 else (0.0, 0.0)
        share = 1 - now % window / window
        left = count - before * share - used
        if left >= 1:
            used += 1
            found[:] = left - 1, window - now % window
        else:
            found[:] = -1, window - now % window
        return (before, used, number), (number + 2) * window

    env.tally.change(key, now, one_more)
    return Quota(count, found[0] // 1, -int(-found[1] // 1))
