"""consumer-restriction: which consumers, groups, routes or services may pass."""

from collections.abc import Callable
from typing import Final

from userspace.http.footprint import METHOD, Footprint
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply

_VALUES: Final[dict[str, Callable[[Request], str | None]]] = {
    "consumer_name": lambda request: request.consumer_name,
    "consumer_group_id": lambda request: request.var("consumer_group_id"),
    "route_id": lambda request: request.var("route_id"),
    "service_id": lambda request: request.var("service_id"),
}


class ConsumerRestriction(Filter):
    NAME = "consumer-restriction"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._value = _VALUES[conf["type"]]
        self._denied = frozenset(conf.get("blacklist", ()))
        self._allowed = frozenset(conf["whitelist"]) if "whitelist" in conf else None
        self._methods: dict[str, list[str]] = {}
        for rule in conf.get("allowed_by_methods", ()):
            if "user" in rule:
                self._methods.setdefault(rule["user"], rule.get("methods", []))
        kind = conf["type"]
        self._unknown = Reply.json(
            401, {"message": f"The request is rejected, please check the {kind} for this request"}
        )
        self._refusal = Reply.json(
            conf["rejected_code"], {"message": conf.get("rejected_msg", f"The {kind} is forbidden.")}
        )

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return Footprint(METHOD)

    def access(self, request: Request) -> Outcome:
        value = self._value(request)
        if value is None:
            return self._unknown
        if value in self._denied:
            return self._refusal
        if self._allowed is not None and value in self._allowed:
            return None
        if self._allowed is not None or request.method not in self._methods.get(value, (request.method,)):
            return self._refusal
        return None
