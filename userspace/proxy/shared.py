"""What all connections of one worker share."""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from traceback import format_exception
from typing import TYPE_CHECKING

from userspace.config.compile_routing import Router
from userspace.config.settings import Settings
from userspace.http.real_ip import RealIp
from userspace.http.request import Peer
from userspace.obs.access_log import AccessLog
from userspace.obs.counters import Counters
from userspace.proxy.clients import Clients
from userspace.proxy.dates import Dates
from userspace.proxy.log_format import LogFormat
from userspace.proxy.naming import Naming
from userspace.proxy.observations import Observations
from userspace.proxy.pool import Pools
from userspace.proxy.splicing import Splicing
from userspace.proxy.tls_connect import ClientContexts
from userspace.proxy.tls_contexts import ServerContexts
from userspace.proxy.wheel import Wheel
from userspace.routing.path_rules import PathRules

if TYPE_CHECKING:
    from userspace.proxy.connection import ClientConnection
    from userspace.proxy.stream_accept import StreamAccept
    from userspace.proxy.tls_accept import TlsAccept

LINGER_SECONDS = 2.0
"""After an answer ahead of the request's end the rest is read and thrown away this long: closing at once would reset
the connection, and the reset could overtake the answer (RFC 9112 section 9.6)."""


class Shared:
    """One per worker; every connection holds it. `on_empty` is called when the last connection of a draining worker
    has closed."""

    __slots__ = (
        "adopting",
        "body_ticks",
        "client_contexts",
        "clients",
        "connections",
        "counters",
        "dates",
        "handshake_ticks",
        "_staples",
        "bare",
        "header_ticks",
        "idle_ticks",
        "is_draining",
        "linger_ticks",
        "log",
        "log_format",
        "loop",
        "naming",
        "observations",
        "on_empty",
        "on_trouble",
        "path_rules",
        "real_ip",
        "pools",
        "request_limits",
        "response_limits",
        "router",
        "send_ticks",
        "server_contexts",
        "settings",
        "speaks_for_clients",
        "splicing",
        "trusts",
        "tunnels",
        "unserved",
        "wheel",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, router: Router, log: AccessLog, wheel: Wheel
    ) -> None:
        self.loop = loop
        self.settings = settings
        self.router = router
        self.log = log
        self.log_format = LogFormat(settings.access_log_format) if settings.access_log_format else None
        self.wheel = wheel
        self.counters = Counters()
        self.dates = Dates()
        self.unserved = self.counters.series("", "", "")
        self.pools = Pools(wheel, self.counters, settings.max_connections_per_endpoint, settings.max_idle_per_endpoint)
        self.naming = Naming(loop, router.live.addresses)
        self.observations = Observations(loop)
        self.connections: set[ClientConnection] = set()
        self.clients = Clients(settings.max_connections_per_client)
        self.bare: set[TlsAccept | StreamAccept] = set()  # no HTTP (yet): handshakes, streams
        self._staples: dict[str, bytes] = {}
        self.client_contexts = ClientContexts(router.certificates.of_id, settings.trusted_certificates)
        self.server_contexts = ServerContexts(lambda: router.snapshot.ticket_keys, settings.tls_ciphers, self.staple_of)
        self.is_draining = False
        self.tunnels = 0  # open now
        self.adopting: set[asyncio.Task[object]] = set()  # connections that are coming back from the node
        self.splicing: Splicing | None = None  # None: no node carries anything
        self.on_empty: Callable[[], None] = _nothing
        self.on_trouble: Callable[[str], None] = _ignore
        self.request_limits = settings.request_limits
        if settings.max_request_body_bytes:
            self.request_limits = replace(settings.request_limits, max_body_bytes=settings.max_request_body_bytes)
        self.response_limits = settings.response_limits
        self.header_ticks = wheel.ticks(settings.header_timeout)
        self.handshake_ticks = wheel.ticks(settings.tls_handshake_timeout)
        self.idle_ticks = wheel.ticks(settings.idle_timeout)
        self.body_ticks = wheel.ticks(settings.body_timeout)
        self.send_ticks = wheel.ticks(settings.send_timeout)
        self.linger_ticks = wheel.ticks(LINGER_SECONDS)
        rules = PathRules(
            settings.match_uri_encoded_slash, settings.normalize_uri_like_servlet, settings.delete_uri_tail_slash
        )
        self.path_rules = rules if rules else None
        real_ip = RealIp(settings.real_ip_header, settings.real_ip_from, settings.real_ip_recursive)
        self.real_ip = real_ip if real_ip else None
        self.trusts = _trust(settings.trusted_addresses)
        self.speaks_for_clients = _trust(settings.proxy_protocol_from)

    @property
    def has_room(self) -> bool:
        """True while another client may connect."""
        return len(self.connections) + len(self.bare) < self.settings.max_connections

    def peer_of(self, transport: asyncio.BaseTransport) -> Peer:
        """Return both ends of a client's connection."""
        address, port = transport.get_extra_info("peername")[:2]
        server_address, server_port = transport.get_extra_info("sockname")[:2]
        return Peer(address, address.encode("ascii"), port, server_address, server_port, self.trusts(address))

    def logged(self, revision: int, vpc_id: str | None, sticky: str | None = None) -> dict[str, object] | None:
        """Return what the node is told of a connection that it may carry, for lines of the access log; None: none."""
        if not self.log.enabled or not self.settings.access_log_spliced:
            return None
        return {"revision": revision, "vpc_id": vpc_id, "sticky": sticky}

    def set_staples(self, staples: Mapping[str, str]) -> None:
        """Staple these OCSP responses from now on, by ssl id, in base64; "" for none."""
        self._staples.update({id: b64decode(response) for id, response in staples.items()})
        self._staples = {id: response for id, response in self._staples.items() if response}

    def staple_of(self, id: str) -> bytes:
        """Return the OCSP response for an ssl object; b"" when there is none."""
        return self._staples.get(id, b"")

    def failed_within(self, error: Exception) -> None:
        """A plugin raised: a fault of ours. The exchange is answered 500 and the others go on."""
        self.counters.error("internal", type(error).__name__)
        self.on_trouble("".join(format_exception(error)))

    def connection_closed(self) -> None:
        """A client connection has ended, or a handshake."""
        if self.is_draining and not self.connections and not self.bare:
            self.on_empty()


def _nothing() -> None:
    pass


def _ignore(text: str) -> None:
    pass


def _trust(addresses: tuple[str, ...]) -> Callable[[str], bool | None]:
    """Return what tells whether an address lies within `addresses`: None for everybody when there are none."""
    if not addresses:
        return lambda address: None
    networks = [ip_network(address) for address in addresses]

    @lru_cache(maxsize=4096)
    def trusts(address: str) -> bool:
        parsed = ip_address(address)
        return any(parsed in network for network in networks)

    return trusts
