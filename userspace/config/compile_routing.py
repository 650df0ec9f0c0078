"""Router: turns snapshots into what requests are served by, changing only what a change touches."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from control.model.keys import STICKY_KEYS, kind_of
from control.model.route import Route
from control.model.service import Service
from control.model.upstream import Upstream
from userspace.balancer.build import NOWHERE, Here
from userspace.config.certificates import Certificates
from userspace.config.compile_plugins import CompiledPlugins
from userspace.config.compiled import CompiledRoute, CompiledUpstream, UpstreamSlot, compile_upstream
from userspace.config.conditions import condition_of, footprint_of_conditions
from userspace.config.dependents import Dependents
from userspace.config.live import Live
from userspace.config.merge import REFUSALS, merge, slot_id
from userspace.config.snapshot import EMPTY, Snapshot, changed_keys
from userspace.config.streams import Streams
from userspace.http.footprint import ALWAYS, Footprint, union
from userspace.http.request import Request
from userspace.plugins.chain import EMPTY as NO_PLUGINS
from userspace.plugins.chain import Chain
from userspace.plugins.env import Env
from userspace.routing.match import RoutingTable
from userspace.routing.modes import MODES, WITH_PARAMETERS, table_for
from userspace.routing.uri_table import UriTable

MAX_WATCHED = 64
"""Candidates that one request is tried with before its route is found, for a connection to be spliced."""


class Router:
    """The compiled configuration of one worker. `here.start` should differ between workers; `mode` is one of routing's
    MODES, `splice` the policy of routes that say nothing.

    `apply` compiles first and then changes what `match` reads, without awaiting: a request sees all of a snapshot or
    nothing of it. Routes find their upstream through a slot, so a changed upstream is compiled once and put in place by
    one assignment, however many routes refer to it. A changed service or plugin config is merged into its routes anew.
    """

    __slots__ = (
        "_cold",
        "_dependents",
        "_here",
        "_routes",
        "_slots",
        "_splice",
        "_with_parameters",
        "certificates",
        "live",
        "panics",
        "plugins",
        "snapshot",
        "streams",
        "table",
    )

    def __init__(
        self,
        here: Here = NOWHERE,
        env: Env | None = None,
        trouble: Callable[[str], None] = lambda text: None,
        mode: str = MODES[0],
        splice: str = "off",
    ) -> None:
        env = env if env is not None else Env()
        env.slots = self
        self.plugins = CompiledPlugins(env, trouble)
        self.certificates = Certificates()
        self.streams = Streams(splice)
        self.snapshot = EMPTY
        self.live = Live()
        self.table: RoutingTable[CompiledRoute] | UriTable[CompiledRoute] = table_for(mode)
        self._with_parameters = mode == WITH_PARAMETERS
        self._splice = splice
        self._routes: dict[str, CompiledRoute] = {}
        self._slots: dict[str, UpstreamSlot] = {}
        self._dependents = Dependents()
        self._here = here
        self._cold: set[str] = set()
        self.panics: set[str] = set()  # upstreams that use all endpoints, as so few are up

    def match(self, request: Request) -> CompiledRoute | None:
        """Return the route for a request, or None (see RoutingTable.match). May raise BodyWanted."""
        return self.table.match(request)

    def footprint(self, request: Request, route: CompiledRoute) -> Footprint | None:
        """Return on what of a request it depends that `route` is its route; None when that can not be watched, or it is
        not. Another request that is the same in these has the same route: whatever was tried before it fails again."""
        footprints: list[Footprint | None] = [Footprint(ALWAYS)]
        for candidate in self.table.candidates(request):
            footprints.append(candidate.footprint)
            if candidate is route:
                return union(footprints)
            if len(footprints) > MAX_WATCHED:
                break
        return None

    def apply(self, new: Snapshot) -> None:
        """Serve by `new` from the next request on. Pickers whose endpoints did not change keep their place."""
        ids: dict[str, None] = {}
        upstreams: dict[str, Upstream | None] = {}
        new_keys = False
        # A route that changes its service in this very batch is in `ids` by itself, so the old dependents are enough.
        keys = changed_keys(self.snapshot, new)
        for key in keys:
            kind, id = kind_of(key) or ("", "")
            if kind == "route":
                ids[id] = None
            elif kind == "upstream" and id in self._slots:
                upstreams[id] = new.upstreams.get(id)
            elif kind == "service":
                fresh = _only_upstream_changed(self.snapshot.services.get(id), new.services.get(id))
                if fresh is None:
                    ids.update(dict.fromkeys(self._dependents.of(kind, id)))
                elif fresh.id in self._slots:
                    upstreams[fresh.id] = fresh
            elif kind == "plugin_config":
                ids.update(dict.fromkeys(self._dependents.of(kind, id)))
            elif key == STICKY_KEYS:
                new_keys = True
        routes = [(self._routes.get(id), self._merged(new, id)) for id in ids]
        compiled = self._compile(routes, upstreams, new, new_keys)
        self._note_dependents(ids, new)
        self.snapshot = new
        self._install_upstreams(compiled)
        self.plugins.apply(new, keys)
        self.certificates.apply(new, keys)
        self.streams.apply(new, keys, self)
        self._install_routes(routes)

    def _merged(self, new: Snapshot, id: str) -> Route | None:
        """The route as it is to be served; None when it is not."""
        route = new.routes.get(id)
        return merge(route, new.services, new.plugin_configs) if route is not None and route.enabled else None

    def _note_dependents(self, ids: dict[str, None], new: Snapshot) -> None:
        for id in ids:
            old, route = self.snapshot.routes.get(id), new.routes.get(id)
            if old is not None:
                self._dependents.remove(old)
            if route is not None:
                self._dependents.add(route)

    def _compile(
        self,
        routes: list[tuple[CompiledRoute | None, Route | None]],
        upstreams: dict[str, Upstream | None],
        new: Snapshot,
        new_keys: bool,
    ) -> dict[str, CompiledUpstream]:
        """Return all upstreams, by slot, that have to change or are new."""
        sticky: set[str] = set()
        hashing: set[str] = set()
        for _, route in routes:
            if route is None:
                continue
            id = slot_id(route)
            if id not in upstreams and (id not in self._slots or route.upstream is not None):
                upstreams[id] = route.upstream if route.upstream is not None else new.upstreams.get(id)
            if route.sticky is not None:
                sticky.add(id)
                if route.sticky.hashes:
                    hashing.add(id)
                slot = self._slots.get(id)
                is_ready = slot is not None and slot.is_sticky and (slot.hashes or not route.sticky.hashes)
                if id not in upstreams and not is_ready:
                    upstreams[id] = new.upstreams.get(id)
        if new_keys:
            for id, known in self._slots.items():
                if known.is_sticky and id not in upstreams:
                    upstreams[id] = known.compiled.source
        compiled = {}
        for id, upstream in upstreams.items():
            slot = self._slots.get(id)
            keys = new.sticky_keys if id in sticky or (slot is not None and slot.is_sticky) else None
            refusal = REFUSALS.get(id, 502)
            previous = slot.compiled if slot is not None else None
            hashes = id in hashing or (slot is not None and slot.hashes)
            compiled[id] = compile_upstream(upstream, keys, self._here, refusal, previous, self.live, hashes)
        return compiled

    def upstream_of(self, id: str) -> Upstream | None:
        """Return the upstream of this slot as it is served now; None when there is none."""
        slot = self._slots.get(id)
        return slot.compiled.upstream if slot is not None else None

    def refresh(self, ids: Iterable[str]) -> None:
        """Have these upstreams as `live` has them now."""
        for id in ids:
            slot = self._slots.get(id)
            if slot is not None and slot.compiled.source is not None:
                old = slot.compiled
                made = compile_upstream(old.source, old.keys, self._here, old.refusal, old, self.live, slot.hashes)
                self._put(id, made)

    def warm(self) -> None:
        """Give endpoints that warm up what is theirs by now. To be called every second."""
        cold = list(self._cold)
        self._cold.clear()
        self.refresh(cold)

    def lease(self, id: str, upstream: Upstream | None = None) -> UpstreamSlot:
        """Return the slot of an upstream that a plugin sends requests to: the stored one, or `upstream`, its own."""
        slot = self._slots.get(id)
        if slot is None or upstream is not None:
            found = upstream if upstream is not None else self.snapshot.upstreams.get(id)
            previous = slot.compiled if slot is not None else None
            slot = self._put(id, compile_upstream(found, None, self._here, 502, previous, self.live))
        slot.routes += 1
        return slot

    def release(self, id: str) -> None:
        """Give a leased slot back."""
        slot = self._slots[id]
        slot.routes -= 1
        if not slot.routes:
            self._drop(id)

    def _install_upstreams(self, compiled: dict[str, CompiledUpstream]) -> None:
        for id, upstream in compiled.items():
            self._put(id, upstream)

    def _put(self, id: str, upstream: CompiledUpstream) -> UpstreamSlot:
        slot = self._slots.get(id)
        if slot is None:
            slot = self._slots[id] = UpstreamSlot(upstream)
        else:
            slot.compiled = upstream
        if upstream.cold:
            self._cold.add(id)
        if upstream.is_panic:
            self.panics.add(id)
        else:
            self.panics.discard(id)
        return slot

    def _drop(self, id: str) -> None:
        self._slots.pop(id, None)
        self._cold.discard(id)
        self.panics.discard(id)

    def _install_routes(self, routes: list[tuple[CompiledRoute | None, Route | None]]) -> None:
        fresh: list[CompiledRoute] = []
        chains: list[tuple[Chain, Chain]] = []
        for old, route in routes:
            previous = old.chain if old is not None else NO_PLUGINS
            chain = self.plugins.of_route(route, previous) if route is not None else NO_PLUGINS
            if old is not None:
                self.table.remove(old.route.hosts, old.route.uris, old)
                del self._routes[old.route.id]
                old.slot.routes -= 1
            chains.append((previous, chain))
            if route is not None:
                slot = self._slots[slot_id(route)]
                slot.routes += 1
                slot.is_sticky = slot.is_sticky or route.sticky is not None
                slot.hashes = slot.hashes or (route.sticky is not None and route.sticky.hashes)
                conditions = condition_of(route), self._with_parameters, self._splice, footprint_of_conditions(route)
                fresh.append(CompiledRoute(route, slot, chain, *conditions))
        for compiled in fresh:
            self._routes[compiled.route.id] = compiled
            self.table.add(compiled.route.hosts, compiled.route.uris, compiled)
        # Last: what a chain gives back may be what a new route needs.
        for previous, chain in chains:
            previous.close(chain)
        for old, _ in routes:
            if old is not None and not old.slot.routes:
                self._drop(slot_id(old.route))


def _only_upstream_changed(old: Service | None, new: Service | None) -> Upstream | None:
    """The service's own upstream, when all else about the service stayed as it was: its slot is all that changes."""
    if old is None or new is None or old.upstream is None or new.upstream is None:
        return None
    return new.upstream if replace(old, upstream=new.upstream) == new else None
