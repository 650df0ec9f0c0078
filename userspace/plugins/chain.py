"""Chain: the filters of a route, a global rule or a consumer, in the order in which they run. Compiled once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from control.model.defaults import fill
from control.model.plugins import PLUGINS, is_disabled
from userspace.http.footprint import NOTHING, Footprint, union
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import JSON, TEXT, Outcome, Reply
from userspace.plugins.registry import FILTERS
from userspace.plugins.secret_references import with_secrets
from userspace.routing.expr import Condition, compile_expression, depends_on_body, footprint_of

PHASES: Final = ("rewrite", "access", "before_proxy", "header_filter", "log")
BROKEN: Final = Reply.json(503, {"error_msg": "503 Service Unavailable"})


class Step(NamedTuple):
    """One filter of a chain. `condition`: `_meta.filter`; `answer`: what `_meta.error_response` says instead of an
    error of its own. `conf` is as stored. `inspects_body`: `condition` depends on the body; `watched`: on what of a
    request at all. `parent`: the object that the plugin stands in. `yields`: in a global rule it leaves it to the route
    that has it."""

    name: str
    priority: int
    conf: Conf
    filter: Filter
    condition: Condition | None
    answer: tuple[bytes, tuple[bytes, bytes]] | None
    inspects_body: bool = False
    parent: str = ""
    yields: bool = False
    watched: Footprint | None = NOTHING

    @property
    def footprint(self) -> Footprint | None:
        """On what of a request it depends that this filter leaves it alone; None when that can not be watched."""
        return union((self.filter.footprint(self.filter.conf), self.watched))


class Broken(Filter):
    """Stands for a plugin whose configuration cannot be run, and answers 503: without it, what it guards were open."""

    NAME = "broken"

    def rewrite(self, request: Request) -> Outcome:
        return BROKEN


class Chain:
    """`steps` by priority from high to low, then name. One tuple per phase holds the steps that have it, so that a
    phase nobody has costs nothing. `is_empty`: nothing at all. `inspects_body`: the body is to be read beforehand;
    `keeps_body`: so much of it is to be kept; `yields`: some step does. `footprint`: what all of them together depend
    on, None when that can not be watched."""

    __slots__ = (
        *("access", "before_proxy", "footprint", "header_filter", "inspects_body", "keeps_body", "log", "names"),
        *("rewrite", "steps", "yields"),
    )

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self.steps = tuple(sorted(steps, key=lambda step: (-step.priority, step.name)))
        self.rewrite = self._having("rewrite")
        self.access = self._having("access")
        self.before_proxy = self._having("before_proxy")
        self.header_filter = self._having("header_filter")
        self.log = self._having("log")
        self.keeps_body = max((step.filter.keeps_body for step in self.steps), default=0)
        self.inspects_body = any(step.inspects_body for step in self.steps)
        self.names = frozenset(step.name for step in self.steps)
        self.yields = any(step.yields for step in self.steps)
        self.footprint = union(step.footprint for step in self.steps)

    def _having(self, phase: str) -> tuple[Step, ...]:
        base = getattr(Filter, phase)
        return tuple(step for step in self.steps if getattr(type(step.filter), phase) is not base)

    @property
    def is_empty(self) -> bool:
        return not self.steps

    def close(self, successor: "Chain | None" = None) -> None:
        """Close the filters that `successor` did not take over."""
        kept = {id(step.filter) for step in successor.steps} if successor is not None else set()
        for step in self.steps:
            if id(step.filter) not in kept:
                step.filter.close()


EMPTY: Final = Chain()


def build_chain(
    plugins: Mapping[str, Conf],
    env: Env,
    previous: Chain = EMPTY,
    trouble: Callable[[str], None] = lambda text: None,
    parent: Callable[[str], str] = lambda name: "",
) -> Chain:
    """Return the chain of `plugins`, name -> configuration as stored. Disabled ones are left out.

    A filter of `previous` whose configuration did not change is taken over with what it has counted. One that cannot
    be made of its configuration answers 503 in its place and is told to `trouble`. `parent` names the object that a
    plugin stands in, for filters as `_meta.parent`.
    """
    known = {step.name: step for step in previous.steps}
    steps = []
    for name, conf in plugins.items():
        if name not in FILTERS or is_disabled(conf):
            continue
        step = known.get(name)
        owner = parent(name)
        is_same = step is not None and step.conf == conf and step.parent == owner
        steps.append(step if step is not None and is_same else _step(name, conf, env, trouble, owner))
    return Chain(steps) if steps else EMPTY


def merged(route: Chain, consumer: Chain) -> Chain:
    """Return the chain of a route for a consumer, whose plugins win."""
    return Chain([*consumer.steps, *(step for step in route.steps if step.name not in consumer.names)])


def _step(name: str, conf: Conf, env: Env, trouble: Callable[[str], None], parent: str) -> Step:
    plugin = PLUGINS[name]
    meta: Mapping[str, Any] = conf.get("_meta") or {} if isinstance(conf, Mapping) else {}
    priority = int(meta.get("priority", plugin.priority))
    try:
        filled = fill(plugin.schemas.get("route", {}), dict(with_secrets(conf)) if conf else {})
        filled = {**filled, "_meta": {**meta, "parent": parent}}
        made = FILTERS[name](filled, env)
        condition = compile_expression(meta["filter"]) if meta.get("filter") else None
    except Exception as error:
        trouble(f"plugin {name}: {type(error).__name__}: {error}")
        return Step(name, priority, conf, Broken({}, env), None, None, False, parent)
    rules = meta.get("filter") or []
    yields = plugin.run_policy == "prefer_route"
    answer = _answer(meta.get("error_response"))
    watched = footprint_of(rules)
    return Step(name, priority, conf, made, condition, answer, depends_on_body(rules), parent, yields, watched)


def _answer(given: Any) -> tuple[bytes, tuple[bytes, bytes]] | None:
    if given is None:
        return None
    if isinstance(given, str):
        return given.encode(), TEXT
    return orjson.dumps(given, option=orjson.OPT_APPEND_NEWLINE), JSON
