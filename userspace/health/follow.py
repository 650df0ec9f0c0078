"""From configuration messages to the upstreams that are checked or named: kept current, nothing else kept. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from control.model.errors import ModelError
from control.model.keys import PREFIXES, kind_of
from control.model.ssl import Ssl
from control.model.upstream import Upstream, node_entries
from userspace.config.names import is_name
from userspace.config.snapshot import EMPTY, Snapshot, apply, changed_keys, objects_of, replace

KINDS: Final = ("route", "service", "upstream", "ssl")
CONFIGURATION: Final = tuple(PREFIXES[kind] for kind in KINDS)


class Following:
    """`upstreams`: those that have something to check or to resolve, by id."""

    def __init__(self) -> None:
        self.upstreams: dict[str, Upstream] = {}
        self._snapshot: Snapshot = EMPTY

    def ssl(self, id: str) -> Ssl | None:
        """The ssl object that upstreams name as `client_cert_id`."""
        return self._snapshot.ssls.get(id)

    @property
    def stapled(self) -> dict[str, Ssl]:
        """The ssl objects that want an OCSP response."""
        ssls = self._snapshot.ssls
        return {id: s for id in ssls if (s := ssls[id]).stapling is not None and s.enabled and not s.is_client}

    def whole(self, revision: int, objects: Iterable[tuple[str, str]]) -> frozenset[str]:
        """Take all of the configuration; return the ids of the upstreams that differ from before."""
        kept = [(key, value.encode()) for key, value in objects if is_of_interest(value)]
        return self._take(replace(self._snapshot, revision, kept))

    def changes(self, revision: int, changes: Iterable[tuple[str, str | None]]) -> frozenset[str]:
        """Take a batch of changes; return the ids of the upstreams that differ from before."""
        kept = [(k, value.encode() if value is not None and is_of_interest(value) else None) for k, value in changes]
        return self._take(apply(self._snapshot, revision, kept))

    def _take(self, new: Snapshot) -> frozenset[str]:
        old, self._snapshot = self._snapshot, new
        differing = set()
        for key in changed_keys(old, new):
            kind, id = kind_of(key) or ("", "")
            if kind not in KINDS or kind == "ssl":  # a certificate changes no target: probes look it up
                continue
            upstream_id = id if kind == "upstream" else f"{kind}s/{id}"
            found = _upstream(kind, objects_of(new, kind).get(id))
            if found is None:
                self.upstreams.pop(upstream_id, None)
            else:
                self.upstreams[upstream_id] = found
            differing.add(upstream_id)
        return frozenset(differing)


def _upstream(kind: str, parsed: Any) -> Upstream | None:
    if parsed is None or (kind == "route" and not parsed.enabled):
        return None
    found: Upstream | None = parsed if kind == "upstream" else parsed.upstream
    return found


def is_of_interest(value: str) -> bool:
    """Whether an object may have an upstream with checks or names: most have neither and need not be kept."""
    if '"checks"' in value or '"discovery_type"' in value:
        return True
    if '"client"' in value and '"cert"' in value:
        return True  # possibly a certificate that is shown to endpoints
    if '"ocsp_stapling"' in value:
        return True
    if '"nodes"' not in value:
        return False
    try:
        document = orjson.loads(value)
        return any(is_name(host) for host in _hosts(document))
    except (ModelError, ValueError, AttributeError, TypeError, LookupError):
        return True  # whoever reads it will say what is wrong


def _hosts(document: Any) -> Iterator[str]:
    inside = document.get("upstream", document)
    for node in node_entries(inside):
        host = node["host"]
        yield host[1:-1] if host.startswith("[") else host
