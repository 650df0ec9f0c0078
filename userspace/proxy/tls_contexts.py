"""What a TLS handshake is made with: one context per ssl object and listener's settings, built when it is first needed.

Every ssl object has session identity and ticket keys of its own, derived from the cluster's: a session made under one
is never resumed under another (APISIX had that, PR 12366), nor after its rules for client certificates changed.
"""

import hashlib
import hmac
import os
import ssl
import warnings
import weakref
from collections.abc import Callable, Mapping
from typing import Final

from control.model.ssl import Ssl
from control.model.tickets import TicketKeys
from userspace.proxy import openssl

MAX_CONTEXTS: Final = 4096
"""Built and kept per worker, some 30 KiB each; the one longest unused is dropped, and built again when asked for."""

# Mozilla's "intermediate" of 2025, without finite-field Diffie-Hellman.
CIPHERS: Final = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
GROUPS: Final = "X25519:P-256:P-384"
_OLD_CIPHERS: Final = ":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
_VERSIONS: Final[Mapping[str, tuple[ssl.TLSVersion, int]]] = {
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, int(ssl.OP_NO_TLSv1_1)),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, int(ssl.OP_NO_TLSv1_2)),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_3, int(ssl.OP_NO_TLSv1_3)),
}
_DEFAULT_VERSIONS: Final = ("TLSv1.2", "TLSv1.3")
_PROTOCOLS: Final = ["http/1.1"]


class ContextError(Exception):
    """An ssl object of which no context can be made; `str(error)` says why, without the key."""


class ServerContexts:
    """The contexts of one worker, by ssl object. `staple(id)` is the OCSP response for one, b"" for none."""

    __slots__ = ("_ciphers", "_contexts", "_own", "_staple", "tickets")

    def __init__(
        self,
        tickets: Callable[[], TicketKeys | None] = lambda: None,
        ciphers: str = "",
        staple: Callable[[str], bytes] = lambda id: b"",
    ) -> None:
        """`tickets`: the cluster's; without, tickets are good for this worker only."""
        self.tickets = tickets
        self._ciphers = ciphers or CIPHERS
        self._staple = staple
        self._contexts: dict[str, tuple[Ssl, ssl.SSLContext]] = {}
        self._own: Final = TicketKeys(os.urandom(32), 0)

    def sweep(self, find: Callable[[str], Ssl | None]) -> None:
        """Forget what ssl objects that changed or went had; `find` gives those of now. Connections go on with it."""
        for id in [id for id, (site, _) in self._contexts.items() if find(id) is not site]:
            del self._contexts[id]

    def of(self, site: Ssl) -> ssl.SSLContext:
        """Return the context for an ssl object. Raises ContextError."""
        found = self._contexts.pop(site.id, None)
        if found is None or found[0] is not site:
            found = site, self._build(site)
            if len(self._contexts) >= MAX_CONTEXTS:
                del self._contexts[next(iter(self._contexts))]
        self._contexts[site.id] = found  # last: the one used most lately
        return found[1]

    def _build(self, site: Ssl) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # all are good; the client knows which its machine has
        try:
            self._set_versions(context, site.protocols or _DEFAULT_VERSIONS)
            for certificate, key in site.pairs:
                load_pair(context, certificate, key)
            if site.client is not None:
                self._ask_clients(context, site)
        except ssl.SSLError as error:
            raise ContextError(f"ssl {site.id}: {error.reason or error}") from None
        context.set_alpn_protocols(_PROTOCOLS)
        openssl.set_groups(context, GROUPS)
        openssl.set_mode(context, openssl.MODE_RELEASE_BUFFERS)
        self._set_sessions(context, site)
        return context

    def _set_versions(self, context: ssl.SSLContext, names: tuple[str, ...]) -> None:
        versions = [_VERSIONS[name][0] for name in names]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1, which the tenant asked for
            context.minimum_version, context.maximum_version = min(versions), max(versions)
        if "TLSv1.2" not in names:
            openssl.forbid(context, _VERSIONS["TLSv1.2"][1])
        # SHA-1 is what TLS 1.1 signs with; OpenSSL has it on its lowest level only.
        context.set_ciphers(self._ciphers + _OLD_CIPHERS + ":@SECLEVEL=0" if "TLSv1.1" in names else self._ciphers)

    def _ask_clients(self, context: ssl.SSLContext, site: Ssl) -> None:
        client = site.client
        assert client is not None
        context.load_verify_locations(cadata=client.ca)
        for authority in context.get_ca_certs(binary_form=True):
            openssl.name_client_authority(context, authority)
        context.verify_mode = ssl.CERT_OPTIONAL if client.skip_uris else ssl.CERT_REQUIRED
        if client.skip_uris:
            # Who may come without is known when the path is: a bad certificate is no reason to refuse here either.
            openssl.ask_without_insisting(context)
        openssl.set_client_depth(context, client.depth)

    def _set_sessions(self, context: ssl.SSLContext, site: Ssl) -> None:
        identity = hashlib.sha256(repr((site.id, site.client)).encode()).digest()
        id = site.id
        # Without a session cache only tickets are resumed: a cache is one worker's, tickets are the cluster's.
        openssl.set_session_cache(context, openssl.SESSION_CACHE_OFF)
        openssl.set_session_id_context(context, identity)
        openssl.name_sessions(context)
        openssl.set_ticket_keys(context, _Tickets(self, identity))
        openssl.set_staple(context, lambda: self._staple(id))
        weakref.finalize(context, openssl.forgetter(context)).atexit = False

    @property
    def ticket_keys(self) -> TicketKeys:
        """What tickets are made with now."""
        return self.tickets() or self._own


class _Tickets:
    """The ticket keys of one ssl object, derived again when the cluster's have changed."""

    __slots__ = ("_contexts", "_identity", "_keys", "_made_of")

    def __init__(self, contexts: ServerContexts, identity: bytes) -> None:
        self._contexts = contexts
        self._identity = identity
        self._made_of: TicketKeys | None = None
        self._keys: tuple[openssl.TicketKey, ...] = ()

    def __call__(self) -> tuple[openssl.TicketKey, ...]:
        wanted = self._contexts.ticket_keys
        if wanted is not self._made_of:
            self._made_of = wanted
            secrets = (wanted.current,) if wanted.previous is None else (wanted.current, wanted.previous)
            self._keys = tuple(ticket_key(secret, self._identity) for secret in secrets)
        return self._keys


def ticket_key(secret: bytes, identity: bytes) -> openssl.TicketKey:
    """Derive the key of one identity (RFC 5869, expand only: the secret is random)."""
    name, aes, mac = (hmac.digest(secret, use + identity, "sha256") for use in (b"name", b"aes", b"hmac"))
    return name[:16], aes, mac


def load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a chain and its key, both PEM: through a file in memory, for the ssl module reads nothing else."""
    descriptor = os.memfd_create("pair", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(f"{certificate}\n{key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    finally:
        os.close(descriptor)


def _no_password() -> str:
    """For an encrypted key; without this the library would ask at the terminal."""
    return ""
