"""What https probes use: the upstream's client certificate, and the check's own word on whether to verify."""

import ssl
from collections.abc import Callable
from dataclasses import replace

from control.model.ssl import Ssl
from control.model.upstream import Upstream
from userspace.health.targets import Target
from userspace.proxy.tls_connect import ClientContexts


class ProbeContexts:
    """The contexts of one checker. `upstream_of` and `ssl_of` find what is configured now; `authorities` is a file, ""
    for the system's."""

    def __init__(
        self, upstream_of: Callable[[str], Upstream | None], ssl_of: Callable[[str], Ssl | None], authorities: str
    ) -> None:
        self._upstream_of = upstream_of
        self._contexts = ClientContexts(ssl_of, authorities)
        self._asked_as: dict[str, tuple[Upstream | None, bool, Upstream]] = {}

    def prepare(self) -> None:
        """Read the authorities while they may be read. Raises ContextError."""
        for verify in (True, False):
            self._contexts.of(_with(Upstream("", "roundrobin", ()), verify))

    def of(self, target: Target) -> ssl.SSLContext:
        """Return the context for a target. Raises ContextError, which says what is wrong with the certificate."""
        upstream, verify = self._upstream_of(target.upstream), target.checks.active.verify
        known = self._asked_as.get(target.upstream)
        if known is None or known[0] is not upstream or known[1] != verify:
            made = _with(upstream or Upstream(target.upstream, "roundrobin", ()), verify)
            known = self._asked_as[target.upstream] = (upstream, verify, made)
        return self._contexts.of(known[2])

    def sweep(self) -> None:
        """Forget upstreams that changed or went."""
        for id in [id for id, known in self._asked_as.items() if self._upstream_of(id) is not known[0]]:
            del self._asked_as[id]
        self._contexts.sweep(lambda id: self._asked_as[id][2] if id in self._asked_as else None)


def _with(upstream: Upstream, verify: bool) -> Upstream:
    return replace(upstream, tls=replace(upstream.tls, verify=verify))
