"""limit-conn: so many requests at the same time; some more wait, the others are refused."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import Amount, Key, refusal, scope, unserved_policy
from userspace.plugins.outcome import Outcome, Reply, Wait
from userspace.plugins.summary import Summary
from userspace.tally import Numbers

LEAST_WAIT: Final = 0.001  # seconds
LONGEST: Final = 3600.0
"""Seconds without news of a key after which its count is forgotten, with what a worker took along when it died."""
_FAILED: Final = Reply.json(500, {"error_msg": "failed to limit conn"})


class Rule(NamedTuple):
    conn: Amount
    burst: Amount
    key: Key


class LimitConn(Filter):
    NAME = "limit-conn"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._scope = f"limit-conn:{scope(conf)}"
        self._delay: float = conf["default_conn_delay"]  # what one request takes, as far as is known
        self._refusal = refusal(conf)
        self._has_rules = "rules" in conf
        if self._has_rules:
            self._rules = [_rule(rule, "var_combination") for rule in conf["rules"]]
        else:
            self._rules = [_rule(conf, conf["key_type"])]

    @classmethod
    def unserved(cls, conf: Mapping[str, Any]) -> str | None:
        return unserved_policy(conf)

    def access(self, request: Request) -> Outcome:
        held: list[str] = request.state.setdefault(self.NAME, [])
        delay, is_limited = 0.0, False
        for rule in self._rules:
            key = rule.key.found(request) if self._has_rules else rule.key.of(request)
            conn, burst = rule.conn.of(request), rule.burst.of(request)
            if key is None or conn is None or burst is None or conn <= 0:
                continue
            is_limited = True
            counter = f"{self._scope}:{key}:{conn}:{burst}"
            count = self._began(counter, conn + burst)
            if count > conn + burst:
                return self._refusal
            held.append(counter)
            if count > conn:
                delay += self._delay * ((count - 1) // conn)
        if not is_limited and not self.conf["allow_degradation"]:
            return _FAILED
        request.state[f"{self.NAME} delay"] = delay
        return Wait(delay) if delay >= LEAST_WAIT else None

    def log(self, request: Request, summary: Summary) -> None:
        held = request.state.pop(self.NAME, None)
        if not held:
            return
        for counter in held:
            self._ended(counter)
        if self.conf["only_use_default_delay"]:
            return
        took = summary.upstream_ms / 1000
        if summary.upstream_address is None:
            took = max(0.0, summary.request_ms / 1000 - request.state.get(f"{self.NAME} delay", 0.0))
        self._delay = (self._delay + took) / 2

    def _began(self, key: str, most: float) -> float:
        """Count a request in unless there are `most`; return how many there are with it."""
        now = self.env.clock()
        found: list[float] = []

        def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
            count = numbers[0] + 1 if numbers is not None else 1.0
            found.append(count)
            return (min(count, most), 0.0, 0.0), now + LONGEST

        self.env.tally.change(key, now, one_more)
        return found[0]

    def _ended(self, key: str) -> None:
        now = self.env.clock()

        def one_less(numbers: Numbers | None) -> tuple[Numbers, float] | None:
            if numbers is None or numbers[0] <= 1:
                return None
            return (numbers[0] - 1, 0.0, 0.0), now + LONGEST

        self.env.tally.change(key, now, one_less)


def _rule(conf: Mapping[str, Any], key_type: str) -> Rule:
    return Rule(Amount(conf["conn"]), Amount(conf["burst"]), Key(conf["key"], key_type))
