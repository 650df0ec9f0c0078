"""From an accepted TCP connection to a ClientConnection inside TLS: ClientHello, certificate, handshake.

The ClientHello is read before OpenSSL sees it, so that the handshake begins with the right context and all that hangs
on it (protocol versions, client certificates, tickets) is that of the server name; OpenSSL's own call-back comes too
late for some of it. A handshake that fails is counted by reason and touches nothing else.
"""

import ssl
from typing import TYPE_CHECKING, Final

from control.model.ssl import Ssl
from userspace.http.client_hello import ClientHello, ClientHelloError, ClientHelloReader
from userspace.proxy.accepted import Accepted
from userspace.proxy.connection import ClientConnection
from userspace.proxy.replies import reply
from userspace.proxy.tls_contexts import ContextError
from userspace.proxy.tls_facts import facts
from userspace.proxy.tls_stream import TlsStream

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared

# RFC 8446 section 6: fatal, in the record layer's oldest version, as nothing is agreed on.
_ALERT_INTERNAL_ERROR: Final = b"\x15\x03\x01\x00\x02\x02\x50"
_ALERT_UNRECOGNIZED_NAME: Final = b"\x15\x03\x01\x00\x02\x02\x70"
_ALERT_DECODE_ERROR: Final = b"\x15\x03\x01\x00\x02\x02\x32"
_PLAIN_HTTP: Final = "400 The plain HTTP request was sent to HTTPS port"

# OpenSSL's words -> ours; every alert that the client sends is "client_alert", all else "protocol_error".
_REASONS: Final = {
    "UNSUPPORTED_PROTOCOL": "version",
    "VERSION_TOO_LOW": "version",
    "NO_SHARED_CIPHER": "no_shared_cipher",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no_shared_cipher",
    "NO_SUITABLE_KEY_SHARE": "no_shared_cipher",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "no_shared_cipher",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "client_certificate_missing",
    "CERTIFICATE_VERIFY_FAILED": "client_certificate_invalid",
}


class TlsAccept(Accepted):
    """One handshake, within `tls_handshake_timeout`. Ends by handing the connection to a TlsStream and a
    ClientConnection, or by closing it."""

    __slots__ = ("_hello", "_incoming", "_name", "_outgoing", "_site", "_tls")

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self._hello: ClientHelloReader | None = ClientHelloReader()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._name = ""
        self._site: Ssl | None = None

    def begin(self) -> None:
        self.shared.bare.add(self)
        self.shared.wheel.set(self, self.shared.handshake_ticks)

    def data_received(self, data: bytes) -> None:
        if self.is_lingering:
            return
        reader = self._hello
        if reader is not None:
            try:
                hello = reader.feed(data)
            except ClientHelloError as error:
                self._refuse_bytes(error.reason, bytes(reader.data))
                return
            if hello is None:
                return
            self._hello = None
            data = bytes(reader.data)
            if not self._choose(hello):
                return
        self._incoming.write(data)
        self._shake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self in self.shared.bare and not self.is_lingering:
            self._fail("closed")
        self._forget()

    def expired(self) -> None:
        if not self.is_lingering:
            self._fail("timeout")
        self.abort()

    def cut(self) -> None:
        """The drain is over."""
        self.is_lingering = True
        self.abort()
        self._forget()

    def _turn_away(self, total: str) -> None:
        """Too many: there is nobody yet whom an answer would reach."""
        self.shared.counters.totals[total] += 1
        self.is_lingering = True
        self.abort()

    def _choose(self, hello: ClientHello) -> bool:
        """Find the certificate; False when there is none and the connection is refused."""
        shared = self.shared
        site = self._site = shared.router.certificates.find(hello.server_name or shared.settings.fallback_sni)
        if site is None:
            self._fail("unknown_server_name", _ALERT_UNRECOGNIZED_NAME)
            return False
        self._name = hello.server_name
        try:
            context = shared.server_contexts.of(site)
        except ContextError as error:
            shared.on_trouble(str(error))
            self._fail("no_certificate", _ALERT_INTERNAL_ERROR)
            return False
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        return True

    def _shake(self) -> None:
        tls = self._tls
        assert tls is not None and self.transport is not None
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self.transport.write(self._outgoing.read())
        except ssl.SSLError as error:
            self._fail(reason_of(error), self._outgoing.read())
        else:
            self._done(tls)

    def _done(self, tls: ssl.SSLObject) -> None:
        shared, site, raw = self.shared, self._site, self.transport
        assert site is not None and raw is not None
        totals = shared.counters.totals
        totals["tls_handshakes"] += 1
        totals["tls_resumed"] += bool(tls.session_reused)
        if self._outgoing.pending:
            raw.write(self._outgoing.read())
        client = ClientConnection(shared)
        stream = TlsStream(raw, tls, self._incoming, self._outgoing, client)
        client.transport = stream
        client.peer = self.peer._replace(scheme="https", tls=facts(tls, self._name, site.client is not None))
        client.is_entered, self.is_entered = self.is_entered, False
        client.begin()
        self.transport = None
        self._forget()  # only now: a draining worker is never without this connection
        stream.begin()

    def _refuse_bytes(self, reason: str, data: bytes) -> None:
        """They begin no TLS. Someone who speaks plain HTTP is told, as nginx does."""
        if reason == "not_tls":
            self._fail(reason, reply(400, _PLAIN_HTTP, False) if data[:1].isalpha() else b"")
        else:
            self._fail(reason, _ALERT_UNRECOGNIZED_NAME if reason == "bad_server_name" else _ALERT_DECODE_ERROR)

    def _fail(self, reason: str, last: bytes = b"") -> None:
        """Count it, say `last`, and close; what comes meanwhile is read and thrown away for a while, for a reset could
        overtake the alert (a client of TLS 1.3 sends its request before it knows)."""
        shared, raw = self.shared, self.transport
        self.is_lingering = True
        self._hello = None
        shared.counters.error("client", f"tls_{reason}")
        if raw is None or raw.is_closing():
            return
        if last:
            raw.write(last)
        raw.write_eof()
        shared.wheel.set(self, shared.linger_ticks)

    def _forget(self) -> None:
        self._hello = None
        self.shared.wheel.remove(self)
        self.shared.bare.discard(self)
        self.leave()
        self.shared.connection_closed()


def reason_of(error: ssl.SSLError) -> str:
    """One of a few words for what OpenSSL says of a failed handshake."""
    known = error.reason or ""
    return _REASONS.get(known) or ("client_alert" if "ALERT" in known else "protocol_error")
