"""limit-conn: so many requests at the same time; some more wait, the others are refused."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from userspace.http.request import Request
from userspace.plugins.counting import servers_of
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import Amount, Key, refusal, scope
from userspace.plugins.outcome import Outcome, Wait
from userspace.plugins.page import page
from userspace.plugins.presence import LONGEST, LocalPresence, Places, Presence, RemotePresence
from userspace.plugins.summary import Summary

LEAST_WAIT: Final = 0.001  # seconds
_FAILED: Final = page(500)


class Rule(NamedTuple):
    conn: Amount
    burst: Amount
    key: Key


class Use(NamedTuple):
    """What a rule says of one request."""

    key: str
    conn: float
    burst: float


class LimitConn(Filter):
    NAME = "limit-conn"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._scope = f"limit-conn:{scope(conf)}"
        self._delay: float = conf["default_conn_delay"]  # what one request takes, as far as is known
        self._mine = f"{self.NAME} {id(self)}"  # a global rule has another one
        self._refusal = refusal(conf)
        self._failed = None if conf["allow_degradation"] else _FAILED
        servers = servers_of(conf)
        self._presence: Presence = (
            LocalPresence(env) if servers is None else RemotePresence(env, servers, conf.get("key_ttl", LONGEST))
        )
        self._has_rules = "rules" in conf
        if self._has_rules:
            self._rules = [_rule(rule, "var_combination") for rule in conf["rules"]]
        else:
            self._rules = [_rule(conf, conf["key_type"])]

    def access(self, request: Request) -> Outcome:
        uses = []
        for rule in self._rules:
            key = rule.key.found(request) if self._has_rules else rule.key.of(request)
            conn, burst = rule.conn.of(request), rule.burst.of(request)
            if key is None or conn is None or burst is None:
                continue
            if conn <= 0 or burst < 0:
                return _FAILED  # variables say so; APISIX fails there, whatever `allow_degradation` says
            uses.append(Use(f"{self._scope}:{key}:{conn}:{burst}", conn, burst))
        if not uses:
            return self._failed
        request.state[self._mine] = places = Places()
        return self._entered(places, uses, 0, 0.0)

    def log(self, request: Request, summary: Summary) -> None:
        places: Places | None = request.state.pop(self._mine, None)
        if places is None:
            return
        has_been = bool(places.taken)
        self._presence.leave(places)
        if self.conf["only_use_default_delay"] or not has_been:
            return
        took = summary.upstream_ms / 1000
        if summary.upstream_address is None:
            took = max(0.0, summary.request_ms / 1000 - places.delay)
        self._delay = (self._delay + took) / 2

    def _entered(self, places: Places, uses: Sequence[Use], at: int, delay: float) -> Outcome:
        """Let a request in under each of `uses` from `at` on, until there is no room; then have it wait."""
        if at == len(uses):
            places.delay = delay
            return Wait(delay) if delay >= LEAST_WAIT else None
        key, conn, burst = uses[at]

        def then(count: float | None) -> Outcome:
            waits = 0.0
            if count is None:
                if self._failed is not None:
                    return self._failed
            elif count > conn + burst:
                return self._refusal
            elif count > conn:
                waits = self._delay * ((count - 1) // conn)
            return self._entered(places, uses, at + 1, delay + waits)

        return self._presence.enter(places, key, conn + burst, then)


def _rule(conf: Mapping[str, Any], key_type: str) -> Rule:
    return Rule(Amount(conf["conn"]), Amount(conf["burst"]), Key(conf["key"], key_type))
