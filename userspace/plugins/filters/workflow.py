"""workflow: the first rule whose case holds decides: it answers, or limits."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from control.model.defaults import fill
from control.model.plugins import PLUGINS
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.filters.limit_conn import LimitConn
from userspace.plugins.filters.limit_count import LimitCount
from userspace.plugins.filters.limit_req import LimitReq
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary
from userspace.routing.expr import Condition, compile_expression

_LIMITS: Final[Mapping[str, type[LimitConn | LimitCount | LimitReq]]] = {
    kind.NAME: kind for kind in (LimitConn, LimitCount, LimitReq)
}


class Rule(NamedTuple):
    case: Condition | None
    action: Reply | LimitConn | LimitCount | LimitReq


class Workflow(Filter):
    NAME = "workflow"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        parent = (conf.get("_meta") or {}).get("parent", "")
        self._rules = [
            Rule(
                compile_expression(rule["case"]) if "case" in rule else None,
                # Only the first action counts, as in APISIX.
                _action(rule["actions"][0], env, f"{parent}#{number}"),
            )
            for number, rule in enumerate(conf["rules"])
        ]

    def access(self, request: Request) -> Outcome:
        for case, action in self._rules:
            if case is None or case(request):
                if isinstance(action, Reply):
                    return action
                request.state[self.NAME] = action
                return action.access(request)
        return None

    def header_filter(self, request: Request, response: Response) -> None:
        action = request.state.get(self.NAME)
        if isinstance(action, LimitCount):
            action.header_filter(request, response)

    def log(self, request: Request, summary: Summary) -> None:
        action = request.state.get(self.NAME)
        if isinstance(action, LimitConn):
            action.log(request, summary)

    def close(self) -> None:
        for _, action in self._rules:
            if isinstance(action, Filter):
                action.close()


def _action(action: list[Any], env: Env, parent: str) -> Reply | LimitConn | LimitCount | LimitReq:
    name, *rest = action
    inner: dict[str, Any] = rest[0] if rest else {}
    if name == "return":
        return Reply.json(int(inner["code"]), {"error_msg": "rejected by workflow"})
    filled = dict(fill(PLUGINS[name].schemas["route"], dict(inner)))
    filled["_meta"] = {**(filled.get("_meta") or {}), "parent": parent}
    return _LIMITS[name](filled, env)
