"""TLS to endpoints: which context and server name a request needs, and the handshake of a new connection."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from control.model.ssl import Ssl
from control.model.upstream import Upstream
from userspace.errors import LbError, Retry, Source
from userspace.proxy import openssl
from userspace.proxy.tls_contexts import ContextError, load_pair
from userspace.proxy.tls_stream import TlsStream

MAX_CONTEXTS: Final = 1024  # per worker, by client certificate and verification; the one longest unused is dropped
MAX_SESSIONS: Final = 8
"""Kept per endpoint, one for each server name; the oldest is dropped."""

_PROTOCOLS: Final = ["http/1.1"]
_Identity = tuple[tuple[tuple[str, str], ...], bool]


class Secure(NamedTuple):
    """What a connection was secured with: requests that need the same may share it. `name`: the server name, or an
    address; "" for none."""

    context: ssl.SSLContext
    name: str


class ClientContexts:
    """The contexts of one worker. `find` gives ssl objects by id. `authorities`: a file with those that endpoints are
    verified by; "" is the system's."""

    __slots__ = ("_authorities", "_built", "_find", "_known")

    def __init__(self, find: Callable[[str], Ssl | None], authorities: str = "") -> None:
        self._find = find
        self._authorities = authorities
        self._known: dict[str, tuple[Upstream, Ssl | None, ssl.SSLContext]] = {}
        self._built: dict[_Identity, ssl.SSLContext] = {}

    def of(self, upstream: Upstream) -> ssl.SSLContext:
        """Return the context for an upstream. Raises ContextError, which says what is wrong with its certificate."""
        tls = upstream.tls
        shown = self._find(tls.client_cert_id) if tls.client_cert_id is not None else None
        known = self._known.get(upstream.id)
        if known is not None and known[0] is upstream and known[1] is shown:
            return known[2]
        if tls.client_cert_id is not None and (shown is None or not shown.is_client):
            why = "does not exist" if shown is None else "is not of type client"
            raise ContextError(f"upstream {upstream.id}: ssl {tls.client_cert_id} {why}")
        if tls.client_key and not tls.client_key.lstrip().startswith("-----BEGIN"):
            raise ContextError(f"upstream {upstream.id}: tls.client_key was encrypted with a key not in the keyring")
        pairs = shown.pairs if shown is not None else ((tls.client_cert, tls.client_key),) if tls.client_cert else ()
        context = self._context((pairs, tls.verify))
        self._known[upstream.id] = upstream, shown, context
        return context

    def sweep(self, find: Callable[[str], Upstream | None]) -> None:
        """Forget upstreams that changed or went; `find` gives those of now."""
        for id in [id for id, (upstream, _, _) in self._known.items() if find(id) is not upstream]:
            del self._known[id]

    def _context(self, identity: _Identity) -> ssl.SSLContext:
        context = self._built.pop(identity, None)
        if context is None:
            context = self._build(*identity)
            if len(self._built) >= MAX_CONTEXTS:
                del self._built[next(iter(self._built))]
        self._built[identity] = context
        return context

    def _build(self, pairs: tuple[tuple[str, str], ...], verify: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = verify
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            if verify and self._authorities:
                context.load_verify_locations(self._authorities)
            elif verify:
                context.load_default_certs()
            for certificate, key in pairs:
                load_pair(context, certificate, key)
        except ssl.SSLError as error:
            raise ContextError(f"client certificate: {error.reason or error}") from None
        except OSError as error:
            raise ContextError(f"trusted_certificates: {error}") from None
        context.set_alpn_protocols(_PROTOCOLS)
        openssl.set_mode(context, openssl.MODE_RELEASE_BUFFERS)
        return context


def server_name(authority: bytes) -> str:
    """The name in a Host, without its port: a server name for SNI, or an address to be verified. "" for none that the
    library would take, as clients may send any."""
    host = authority.decode("ascii", "replace")
    if host.startswith("["):
        return host[1 : host.find("]")] if "]" in host else ""
    host = host.partition(":")[0].removesuffix(".")
    labels = host.split(".")
    return host if len(host) <= 253 and all(0 < len(label) <= 63 for label in labels) and host.isascii() else ""


class TlsConnect(asyncio.Protocol):
    """One handshake on a new connection to an endpoint. Awaited: `done`, whose result is the stream, not yet begun, or
    an LbError. `first` goes out before it, in the clear."""

    def __init__(
        self, protocol: asyncio.Protocol, secure: Secure, session: ssl.SSLSession | None, first: bytes = b""
    ) -> None:
        """Raises LbError when the endpoint is to be verified and the request has no name to verify it by."""
        self.done: asyncio.Future[TlsStream] = asyncio.get_running_loop().create_future()
        self._protocol = protocol
        self._first = first
        self._raw: asyncio.Transport | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        try:
            self._tls = secure.context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=secure.name or None, session=session
            )
        except ValueError as error:
            raise _failed(str(error)) from None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        if self._first:
            self._raw.write(self._first)
        self._shake()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)  # the stream's, when the handshake is done
        if not self.done.done():
            self._shake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._raw = None
        self._fail("closed during the handshake")

    def abort(self) -> None:
        """Nobody waits any more."""
        self.done.cancel()
        if self._raw is not None:
            self._raw.abort()

    def _shake(self) -> None:
        raw, tls = self._raw, self._tls
        assert raw is not None
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            raw.write(self._outgoing.read())
        except ssl.SSLError as error:
            if self._outgoing.pending:
                raw.write(self._outgoing.read())
            raw.close()
            self._fail(getattr(error, "verify_message", "") or error.reason or str(error))
        else:
            if self._outgoing.pending:
                raw.write(self._outgoing.read())
            if not self.done.done():
                # What comes until the stream has begun is encrypted, and waits.
                raw.pause_reading()
                self.done.set_result(TlsStream(raw, tls, self._incoming, self._outgoing, self._protocol))

    def _fail(self, detail: str) -> None:
        if not self.done.done():
            self.done.set_exception(_failed(detail))


def _failed(detail: str) -> LbError:
    return LbError("tls_failed", Source.UPSTREAM, Retry.ALWAYS, detail)
