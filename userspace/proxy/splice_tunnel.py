"""Tunnels and streams as what the node can carry: bytes that nobody here looks at.

The moment is when bytes of the endpoint are in hand that the client waits for. A client that speaks at the same time
makes the node refuse, `busy`: then the next such moment is tried.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from userspace.proxy.splice_guard import are_bare
from userspace.proxy.splicing import Answer, Splicing
from userspace.proxy.tls_stream import TlsStream

if TYPE_CHECKING:
    from userspace.proxy.tunnel import End

TRIES: Final = 3


def are_plain(*ends: "End") -> bool:
    """True where the wire carries what the ends see."""
    return not any(isinstance(end.transport, TlsStream) for end in ends)


class TunnelSplice:
    """Offers two ends to the node. `facts`: what the question says besides. `handed` is called when it has them, before
    they are let go."""

    __slots__ = ("_client", "_facts", "_handed", "_splicing", "_tail", "_tries", "_upstream")

    def __init__(
        self,
        splicing: Splicing,
        client: "End",
        upstream: "End",
        facts: Mapping[str, Any],
        handed: Callable[[], None],
    ) -> None:
        self._splicing = splicing
        self._client = client
        self._upstream = upstream
        self._facts = facts
        self._handed = handed
        self._tries = TRIES
        self._tail = b""

    def holds(self, data: bytes) -> bool:
        """Take `data`, which comes from the endpoint and is for the client; False: it is to be written as ever."""
        client, upstream = self._client, self._upstream
        transports = client.transport, upstream.transport
        if not self._tries or client.has_ended or upstream.has_ended or not are_bare(*transports):
            return False
        if self._splicing.key is None:
            return False
        for transport in transports:
            transport.pause_reading()
        fds = [transport.get_extra_info("socket").fileno() for transport in transports]
        if not self._splicing.ask({**self._facts, "tail": len(data)}, None, fds, self._answered):
            for transport in transports:
                transport.resume_reading()
            return False
        self._tries -= 1
        self._tail = data
        return True

    def _answered(self, answer: Answer, reason: str) -> None:
        client, upstream, tail = self._client, self._upstream, self._tail
        self._tail = b""
        if answer is Answer.SPLICED or answer is Answer.LATE:
            self._handed()
            client.write(tail)
            client.transport.close()
            upstream.transport.abort()
            return
        # A node that is gone can do nothing more to this connection, which nobody else will ever get.
        if reason != "busy":
            self._tries = 0
        if not self._tries:
            upstream.splice = None
        client.hold(False)
        upstream.hold(False)
        client.write(tail)
        client.tunnel.moved()
