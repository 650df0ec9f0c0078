"""CompiledPlugins: the plugins of global rules, routes and consumers, as chains; and the consumers they know."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from control.model.consumer import Consumer
from control.model.keys import kind_of
from control.model.plugins import PLUGINS
from control.model.route import Route
from userspace.config.compiled import CompiledRoute
from userspace.config.snapshot import EMPTY as NOTHING
from userspace.config.snapshot import Snapshot
from userspace.plugins.chain import EMPTY, Chain, build_chain, merged
from userspace.plugins.env import Env
from userspace.plugins.outcome import Reply

MAX_KEPT: Final = 10_000
"""Chains of consumers that are kept, and merged ones of each route; beyond it they are forgotten and built anew."""

_NO_GROUP: Final = Reply(503)
_NO_SETTINGS: Final[Mapping[str, Any]] = {}
_NOT_PLUGINS: Final = frozenset(("sticky",))  # compiled with the route, see merge.py


class CompiledPlugins:
    """One per worker. `rules` is the chain of all global rules. `apply` and the look-ups never await."""

    __slots__ = ("_consumers", "_env", "_snapshot", "_trouble", "rules")

    def __init__(self, env: Env, trouble: Callable[[str], None]) -> None:
        self.rules = EMPTY
        self._env = env
        self._trouble = trouble
        self._snapshot = NOTHING
        # A consumer's own chain: what it counts is counted over all routes.
        self._consumers: dict[str, tuple[Mapping[str, Any], Chain]] = {}
        env.metadata = self._metadata
        env.service_name = self._service_name

    def apply(self, new: Snapshot, keys: frozenset[str]) -> None:
        """Go on by `new`, which differs from the last snapshot in `keys`."""
        old, self._snapshot = self._snapshot, new
        index = self._env.consumers
        has_new_rules = False
        for key in keys:
            kind, id = kind_of(key) or ("", "")
            if kind == "consumer":
                index.set_consumer(id, old.consumers.get(id), new.consumers.get(id))
                if id not in new.consumers and id in self._consumers:
                    self._consumers.pop(id)[1].close()
            elif kind == "credential":
                index.set_credential(old.credentials.get(id), new.credentials.get(id))
            elif kind == "global_rule":
                has_new_rules = True
        if has_new_rules:
            self._compile_rules(new)

    def of_route(self, route: Route, previous: Chain) -> Chain:
        """The chain of a merged route; `previous`, its last one, hands over what did not change."""
        plugins = {name: conf for name, conf in route.plugins.items() if name not in _NOT_PLUGINS}
        if not plugins:
            return EMPTY
        return build_chain(plugins, self._env, previous, self._trouble, partial(self._parent, route))

    def for_consumer(self, route: CompiledRoute | None, consumer: Consumer) -> Chain | Reply:
        """The chain of `route` with the plugins of `consumer` and its group; an answer when the group is missing."""
        if route is None:
            return EMPTY
        theirs = self._of_consumer(consumer)
        if isinstance(theirs, Reply) or theirs.is_empty:
            return route.chain if isinstance(theirs, Chain) else theirs
        known = route.merged.get(consumer.username)
        if known is not None and known[0] is theirs:
            return known[1]
        if len(route.merged) >= MAX_KEPT:
            route.merged.clear()
        chain = merged(route.chain, theirs)
        route.merged[consumer.username] = (theirs, chain)
        return chain

    def _of_consumer(self, consumer: Consumer) -> Chain | Reply:
        plugins = consumer.plugins
        if consumer.group_id is not None:
            group = self._snapshot.consumer_groups.get(consumer.group_id)
            if group is None:
                return _NO_GROUP
            plugins = {**group.plugins, **plugins}
        known = self._consumers.get(consumer.username)
        if known is not None and known[0] == plugins:
            return known[1]
        if known is None and len(self._consumers) >= MAX_KEPT:
            for _, chain in self._consumers.values():
                chain.close()
            self._consumers.clear()
        own = {name: conf for name, conf in plugins.items() if not _identifies(name)}
        previous = known[1] if known is not None else EMPTY
        who = f"/consumers/{consumer.username}"
        group_key = f"/consumer_groups/{consumer.group_id}"
        chain = build_chain(
            *(own, self._env, previous, self._trouble),
            lambda name: who if name in consumer.plugins else group_key,
        )
        previous.close(chain)
        self._consumers[consumer.username] = (plugins, chain)
        return chain

    def _compile_rules(self, new: Snapshot) -> None:
        plugins = {name: conf for rule in new.global_rules.values() for name, conf in rule.plugins.items()}
        parents = {name: f"/global_rules/{id}" for id, rule in new.global_rules.items() for name in rule.plugins}
        plugins = {name: conf for name, conf in plugins.items() if name not in _NOT_PLUGINS}
        previous, self.rules = (
            self.rules,
            build_chain(plugins, self._env, self.rules, self._trouble, parents.__getitem__),
        )
        previous.close(self.rules)

    def _parent(self, route: Route, plugin: str) -> str:
        """The object that a plugin of a merged route stands in."""
        snapshot = self._snapshot
        own = snapshot.routes.get(route.id)
        if own is not None and plugin in own.plugins:
            return f"/routes/{route.id}"
        config = snapshot.plugin_configs.get(route.plugin_config_id) if route.plugin_config_id else None
        if config is not None and plugin in config.plugins:
            return f"/plugin_configs/{route.plugin_config_id}"
        return f"/services/{route.service_id}"

    def _service_name(self, id: str) -> str:
        found = self._snapshot.services.get(id)
        return found.name if found is not None else ""

    def _metadata(self, plugin: str) -> Mapping[str, Any]:
        found = self._snapshot.plugin_metadatas.get(plugin)
        return found.settings if found is not None else _NO_SETTINGS


def _identifies(name: str) -> bool:
    """True for what only says how a consumer is known."""
    plugin = PLUGINS.get(name)
    return plugin is not None and plugin.type == "auth"
