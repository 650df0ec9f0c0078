"""Live: what is known of endpoints beside the configuration: which are down, and where their names lead. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from control.model.upstream import Endpoint, Upstream
from userspace.config.names import names_of, resolved

_NONE: Final[frozenset[Endpoint]] = frozenset()


class Live:
    """One per worker, kept by what the node's checker says (see userspace/health/README.md). `is_checking`: False where
    no endpoint is checked, whatever upstreams ask for."""

    __slots__ = ("_down", "_suspects", "_users", "addresses", "is_checking")

    def __init__(self) -> None:
        self.is_checking = True
        self.addresses: dict[str, tuple[str, ...]] = {}
        self._down: dict[str, frozenset[str]] = {}
        self._suspects: dict[str, frozenset[str]] = {}
        self._users: dict[str, set[str]] = {}

    def set_down(self, upstreams: Mapping[str, Iterable[str]]) -> None:
        """These are the endpoints of these upstreams, as address:port, that are not to be used."""
        for id, addresses in upstreams.items():
            self._suspects.pop(id, None)
            if addresses:
                self._down[id] = frozenset(addresses)
            else:
                self._down.pop(id, None)

    def suspect(self, id: str, address: str) -> bool:
        """Hold an endpoint for down until the checker has spoken, or `trust`; False if it is already."""
        if address in self._down.get(id, ()) or address in self._suspects.get(id, ()):
            return False
        self._suspects[id] = self._suspects.get(id, frozenset()) | {address}
        return True

    def trust(self, id: str) -> None:
        """The checker did not confirm it."""
        self._suspects.pop(id, None)

    def set_addresses(self, names: Mapping[str, tuple[str, ...] | None]) -> set[str]:
        """These are the addresses of these names; None for those that nobody asks for any more. Return the ids of the
        upstreams that have them, and possibly of some that had."""
        users: set[str] = set()
        for name, addresses in names.items():
            if addresses is None:
                self.addresses.pop(name, None)
                users |= self._users.pop(name, set())
            else:
                self.addresses[name] = addresses
                users |= self._users.get(name, set())
        return users

    def resolved(self, upstream: Upstream) -> Upstream:
        """Return `upstream` with the addresses of its names, and remember that it has them."""
        names = names_of(upstream)
        if not names:
            return upstream
        for name in names:
            self._users.setdefault(name, set()).add(upstream.id)
        return resolved(upstream, self.addresses)

    def confirmed_of(self, upstream: Upstream) -> frozenset[Endpoint]:
        """Return its endpoints that the checker says are down, panic or not."""
        addresses = self._down.get(upstream.id)
        if addresses is None:
            return _NONE
        return frozenset(endpoint for endpoint in upstream.endpoints if endpoint.address in addresses)

    def down_of(self, upstream: Upstream) -> frozenset[Endpoint]:
        """Return its endpoints that are down; none in a panic, when so few are up that each may as well be tried. As in
        APISIX that is when all are down, unless the upstream has a threshold: 0 for never."""
        addresses = self._down.get(upstream.id, frozenset()) | self._suspects.get(upstream.id, frozenset())
        if not addresses:
            return _NONE
        down = frozenset(endpoint for endpoint in upstream.endpoints if endpoint.address in addresses)
        up, threshold = len(upstream.endpoints) - len(down), upstream.panic_threshold
        is_panic = not up if threshold is None else up * 100 < threshold * len(upstream.endpoints)
        return _NONE if is_panic else down
