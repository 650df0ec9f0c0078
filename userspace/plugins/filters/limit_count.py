"""limit-count: so many requests in a window of time."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from userspace.http.request import Request
from userspace.plugins.counting import servers_of
from userspace.plugins.delayed_windows import DelayedWindows
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import Amount, Key, refusal, scope
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.page import page
from userspace.plugins.quota import LocalWindows, Quota, RemoteWindows, Windows
from userspace.plugins.response import Response

_HEADERS: Final = (
    ("limit_header", "X-RateLimit-Limit"),
    ("remaining_header", "X-RateLimit-Remaining"),
    ("reset_header", "X-RateLimit-Reset"),
)
_FAILED: Final = Reply.json(500, {"error_msg": "failed to limit count"})
_NO_RULE: Final = page(500)
_AT_ONCE: Final = -1


class Rule(NamedTuple):
    """`prefix`: of its headers; None: those of the metadata."""

    most: Amount
    window: Amount
    key: Key
    prefix: str | None


class Use(NamedTuple):
    """A rule and what it says of one request."""

    rule: Rule
    key: str
    most: float
    window: float


class LimitCount(Filter):
    NAME = "limit-count"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        group = conf.get("group")
        self._scope = f"limit-count:{group if group is not None else scope(conf)}"
        self._refusal = refusal(conf)
        self._has_rules = "rules" in conf
        self._rules = tuple(_rules(conf))
        self._windows = _windows(conf, env)
        self._failed = None if conf["allow_degradation"] else _FAILED

    def access(self, request: Request) -> Outcome:
        uses = []
        for rule in self._rules:
            key = rule.key.found(request) if self._has_rules else rule.key.of(request)
            count, window = rule.most.of(request), rule.window.of(request)
            if key is None or count is None or window is None:
                continue
            if count <= 0 or window <= 0:
                return _NO_RULE  # variables say so; APISIX fails there, whatever `allow_degradation` says
            uses.append(Use(rule, f"{self._scope}:{key}:{count}:{window}", count, window))
        if not uses:
            return None if self.conf["allow_degradation"] else _NO_RULE
        return self._limited(request, uses, 0)

    def header_filter(self, request: Request, response: Response) -> None:
        for name, value in request.state.get(self.NAME, ()):
            response.set_header(name, value)

    def close(self) -> None:
        self._windows.close()

    def _limited(self, request: Request, uses: Sequence[Use], at: int) -> Outcome:
        """Count one request under each of `uses` from `at` on, until one is used up."""
        rule, key, most, window = uses[at]

        def then(quota: Quota | None) -> Outcome:
            if quota is None:
                if self._failed is not None:
                    return self._failed
            else:
                self._show(request, rule, quota)
                if quota.remaining < 0:
                    return self._refusal
            return self._limited(request, uses, at + 1) if at + 1 < len(uses) else None

        return self._windows.take(key, most, window, then)

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


def _windows(conf: Mapping[str, Any], env: Env) -> Windows:
    servers, is_sliding = servers_of(conf), conf.get("window_type") == "sliding"
    if servers is None:
        return LocalWindows(env, is_sliding)
    remote = RemoteWindows(env, servers, is_sliding)
    interval: float = conf.get("sync_interval", _AT_ONCE)
    return remote if interval == _AT_ONCE else DelayedWindows(env, remote, interval)
