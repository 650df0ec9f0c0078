"""Certificates: which ssl object answers for a server name, and whether a request may pass without a certificate."""

from collections.abc import Iterable

from control.model.keys import kind_of
from control.model.ssl import Ssl
from userspace.config.snapshot import Snapshot
from userspace.config.sni_index import SniIndex, normal
from userspace.http.request import Request
from userspace.routing.pattern import Pattern

VERIFIED = "SUCCESS"


class Certificates:
    """The ssl objects of one worker."""

    __slots__ = ("_asking", "_index", "_known", "_skips")

    def __init__(self) -> None:
        self._index: SniIndex[Ssl] = SniIndex()
        self._known: dict[str, Ssl] = {}
        self._asking: set[str] = set()  # those that ask clients for a certificate
        self._skips: dict[str, tuple[Pattern, ...]] = {}

    def apply(self, new: Snapshot, keys: Iterable[str]) -> None:
        """Go by `new`, which differs in `keys`."""
        for kind, id in map(_split, keys):
            if kind != "ssl":
                continue
            old = self._known.pop(id, None)
            if old is not None:
                self._index.remove(old.names, id)
            self._asking.discard(id)
            self._skips.pop(id, None)
            ssl = new.ssls.get(id)
            if ssl is None:
                continue
            self._known[id] = ssl
            if ssl.is_client or not ssl.enabled:
                continue
            self._index.add(ssl.names, id, ssl)
            if ssl.client is not None:
                self._asking.add(id)
                self._skips[id] = tuple(Pattern(source) for source in ssl.client.skip_uris)

    def of_id(self, id: str) -> Ssl | None:
        """The ssl object with this id, of whatever kind."""
        return self._known.get(id)

    def find(self, name: str) -> Ssl | None:
        """The one for a server name, a normal one."""
        return self._index.find(name)

    def forbids(self, request: Request) -> bool:
        """True for a request over TLS whose host wants a certificate that this client did not show, or showed for
        another server name: as APISIX, even if both names have the same ssl object."""
        tls = request.peer.tls
        if not self._asking or tls is None:
            return False
        host = normal(request.host)
        ssl = self._index.find(host)
        if ssl is None or ssl.client is None:
            return False
        if tls.client_verify != VERIFIED and not any(skip.found(request.path) for skip in self._skips[ssl.id]):
            return True
        return tls.server_name != host


def _split(key: str) -> tuple[str, str]:
    return kind_of(key) or ("", "")
