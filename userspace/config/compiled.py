"""What requests are served by: routes and upstreams with everything merged that a request would have to look for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from control.model.health import Passive
from control.model.route import Route
from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint, Timeout, Upstream
from userspace.balancer.build import Here, build, ring_with_drained
from userspace.balancer.hash_key import KeyOf, compile_key, variables_of
from userspace.balancer.load import Loads
from userspace.balancer.picker import NOBODY, Picker
from userspace.balancer.sticky import NO_TOKENS, StickyTable
from userspace.config.live import Live
from userspace.config.warming import WARM, Cold, cold_of, shares_of
from userspace.http.footprint import NOTHING, Footprint, of_variable, union
from userspace.plugins.chain import EMPTY, Chain
from userspace.routing.expr import Condition
from userspace.routing.uri_pattern import read_uri

_DEFAULT_TIMEOUT: Final = Timeout()


@dataclass(frozen=True, slots=True)
class CompiledUpstream:
    """An upstream, ready to serve. An exchange takes it once, at its beginning, and keeps it to its end.

    `retries`: tries after the first. `refusal`: the status when `picker` yields nothing at the first try, as APISIX's:
    502 for an upstream that does not exist, 503 for one without endpoints and for a route without upstream.
    `keys`: those that `tokens` were made with; None when no route of this upstream is sticky. `upstream` has addresses
    where `source`, the stored one, has names. `down`: its endpoints that `picker` leaves out. `passive`: what exchanges
    meet is of interest to the checker. `key_of`: what the picker is to be given of a request, None for nothing.
    `ring`: of all endpoints, down or not, for what sticky routes hash; NOBODY where none does. `whole_ring`: the same
    with those that are drained where they were.
    `loads`: what its pickers know of endpoints. `confirmed`: what the checker
    says is down, also where all are used. `cold`, `shares`: of endpoints that warm up. `footprint`: of `key_of`.
    """

    upstream: Upstream | None
    picker: Picker
    tokens: StickyTable
    retries: int
    refusal: int
    keys: StickyKeys | None
    source: Upstream | None = None
    down: frozenset[Endpoint] = frozenset()
    passive: Passive | None = None
    key_of: KeyOf | None = None
    ring: Picker = NOBODY
    whole_ring: Picker = NOBODY
    loads: Loads = field(default_factory=Loads)
    confirmed: frozenset[Endpoint] = frozenset()
    cold: Cold = field(default_factory=dict)
    shares: Mapping[Endpoint, float] = field(default_factory=dict)
    footprint: Footprint | None = NOTHING

    @property
    def is_panic(self) -> bool:
        """So few endpoints are up that all are used."""
        return bool(self.confirmed) and not self.down

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What `picker` chooses from, and the drained ones."""
        return self.upstream.endpoints if self.upstream is not None else ()


class UpstreamSlot:
    """Where all routes of one upstream find it. `routes`: how many refer to it; `is_sticky`: one of them wants tokens,
    or did while the slot existed; `hashes`: one of them wants the ring."""

    __slots__ = ("compiled", "hashes", "is_sticky", "routes")

    def __init__(self, compiled: CompiledUpstream) -> None:
        self.compiled = compiled
        self.routes = 0
        self.is_sticky = False
        self.hashes = False


class CompiledRoute:
    """A route, ready to serve: what RoutingTable.match returns."""

    __slots__ = (
        "_with_parameters",
        "chain",
        "condition",
        "footprint",
        "merged",
        "methods",
        "order",
        "route",
        "slot",
        "splice",
    )

    def __init__(
        self,
        route: Route,
        slot: UpstreamSlot,
        chain: Chain = EMPTY,
        condition: Condition | None = None,
        with_parameters: bool = False,
        splice: str = "off",
        footprint: Footprint | None = NOTHING,
    ) -> None:
        """`splice`: the policy for routes that say nothing. `footprint`: of `condition`."""
        self.route: Final = route
        self.slot: Final = slot
        self.chain: Final = chain
        self.methods: Final = route.methods
        self.condition: Final = condition
        self._with_parameters = with_parameters
        self.splice: Final = route.splice or splice
        self.footprint: Final = footprint
        self.order: Final = (-route.priority, route.id)
        # By consumer: the chain that was merged into this one's, and the result.
        self.merged: dict[str, tuple[Chain, Chain]] = {}

    @property
    def upstream(self) -> CompiledUpstream:
        """The upstream as of now: read it once per exchange."""
        return self.slot.compiled

    def matched_uri(self, path: str) -> str | None:
        """The uri of this route under which `path` found it."""
        uris = self.route.uris
        if len(uris) == 1:
            return uris[0]
        patterns = [(read_uri(uri, self._with_parameters), uri) for uri in uris]
        fitting = [(p.is_exact, len(p.literal), len(uri), uri) for p, uri in patterns if p.covers(path)]
        return max(fitting)[3] if fitting else None

    def matched_host(self, host: str) -> str | None:
        """The host pattern of this route under which `host` found it; None when it has none."""
        hosts = self.route.hosts
        if host in hosts:
            return host
        return max((h for h in hosts if h.startswith("*") and host.endswith(h[1:])), key=len, default=None)

    def taken(self, path: str) -> dict[str, str]:
        """What the names in that uri took of `path`."""
        uri = self.matched_uri(path)
        return read_uri(uri, self._with_parameters).taken(path) if uri is not None else {}

    def timeout_with(self, compiled: CompiledUpstream) -> Timeout:
        """Return the route's timeout, else that of `compiled`."""
        if self.route.timeout is not None:
            return self.route.timeout
        return compiled.upstream.timeout if compiled.upstream is not None else _DEFAULT_TIMEOUT


def compile_upstream(
    upstream: Upstream | None,
    keys: StickyKeys | None,
    here: Here,
    refusal: int,
    previous: CompiledUpstream | None,
    live: Live,
    hashes: bool = False,
) -> CompiledUpstream:
    """Return `upstream` ready to serve (None: it does not exist, and `refusal` says so), as `live` has it. `hashes`:
    some sticky route of it hashes.

    What `previous` has of the same endpoints and keys is taken over: a picker goes on where it was.
    """
    if upstream is None:
        return CompiledUpstream(None, NOBODY, NO_TOKENS, 0, refusal, keys)
    source, upstream = upstream, live.resolved(upstream)
    endpoints, down, now = upstream.endpoints, live.down_of(upstream), here.clock()
    confirmed = live.confirmed_of(upstream)
    before = previous if previous is not None and previous.upstream is not None else _NOTHING
    cold = cold_of(upstream, confirmed, before.upstream, before.confirmed, before.cold, now)
    if upstream.warm_up is not None and now - here.began < upstream.warm_up.grace:
        cold = WARM
    shares = shares_of(upstream, cold, now)
    loads = before.loads if before is not _NOTHING else Loads()
    is_same = before.endpoints == endpoints
    if is_same and before.down == down and before.shares == shares and _spreads_alike(before.upstream, upstream):
        picker = before.picker
    else:
        picker = build(upstream, here, down, shares, loads, before.picker)
    if is_same and before.keys == keys:
        tokens = before.tokens
    else:
        tokens = StickyTable(upstream.id, endpoints, keys) if keys is not None else NO_TOKENS
    ring = whole = NOBODY
    if hashes:
        hashing = replace(upstream, type="chash", spill_over=None)
        ring = before.ring if is_same and before.ring is not NOBODY else build(hashing, previous=before.ring)
        is_whole = is_same and before.whole_ring is not NOBODY
        whole = before.whole_ring if is_whole else ring_with_drained(upstream, before.whole_ring) or ring
    return CompiledUpstream(
        upstream,
        picker,
        tokens,
        retries=upstream.retries if upstream.retries is not None else max(0, len(endpoints) - 1),
        refusal=503,
        keys=keys,
        source=source,
        down=down,
        passive=upstream.checks.passive if upstream.checks is not None and live.is_checking else None,
        key_of=compile_key(upstream.hash_on, upstream.key) if picker.wants_key else None,
        ring=ring,
        whole_ring=whole,
        loads=loads,
        confirmed=confirmed,
        cold=cold,
        shares=shares,
        footprint=union(map(of_variable, variables_of(upstream.hash_on, upstream.key)))
        if picker.wants_key
        else NOTHING,
    )


def _spreads_alike(one: Upstream | None, other: Upstream) -> bool:
    return one is not None and (one.type, one.spill_over) == (other.type, other.spill_over)


_NOTHING: Final = CompiledUpstream(None, NOBODY, NO_TOKENS, 0, 502, None)
