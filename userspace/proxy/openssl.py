"""What Python's ssl module lacks of OpenSSL, reached through ctypes in the very library that it uses. Only here.

The address of an SSL_CTX stands in Python's object behind its header, that of an SSL one pointer further; CPython has
kept both so since 3.6. `check` proves it for this interpreter before anything else is called, and `available` is False
where it does not hold: then connections work, and what this module would add does not (each caller says what).
"""

import _ssl
import contextlib
import ctypes
import os
import ssl
import sys
from collections.abc import Callable
from typing import Any, Final

MODE_RELEASE_BUFFERS: Final = 0x10  # 34 KiB less for an idle connection
SESSION_CACHE_OFF: Final = 0

_HEADER: Final = object.__basicsize__
_POINTER: Final = ctypes.sizeof(ctypes.c_void_p)
_CTRL_MODE, _CTRL_SESSION_CACHE, _CTRL_STATUS_CB, _CTRL_STATUS_RESPONSE = 33, 44, 63, 71
_CTRL_TICKET_CB, _CTRL_GROUPS = 72, 92
_KNOWN: Final = range(0x30000000, 0x40000000)  # OpenSSL 3: the versions whose functions are called as below
_VERIFY_PEER: Final = 1
_NAME_BYTES: Final = 32

_TicketCallback = ctypes.CFUNCTYPE(
    *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
)
_NamingCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_StatusCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_VerifyCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_PLAIN, _ULONG, _SIZE = ctypes.c_int, ctypes.c_ulong, ctypes.c_size_t
_PTR, _TEXT = ctypes.c_void_p, ctypes.c_char_p
_FUNCTIONS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "OpenSSL_version_num": (_ULONG, ()),
    "SSL_CTX_get_options": (ctypes.c_uint64, (_PTR,)),
    "SSL_CTX_set_options": (ctypes.c_uint64, (_PTR, ctypes.c_uint64)),
    "SSL_CTX_get_num_tickets": (_SIZE, (_PTR,)),
    "SSL_CTX_ctrl": (ctypes.c_long, (_PTR, _PLAIN, ctypes.c_long, _PTR)),
    "SSL_CTX_callback_ctrl": (ctypes.c_long, (_PTR, _PLAIN, _PTR)),
    "SSL_CTX_set_session_id_context": (_PLAIN, (_PTR, _TEXT, ctypes.c_uint)),
    "SSL_CTX_set_verify": (None, (_PTR, _PLAIN, _PTR)),
    "SSL_CTX_set_verify_depth": (None, (_PTR, _PLAIN)),
    "SSL_CTX_add_client_CA": (_PLAIN, (_PTR, _PTR)),
    "SSL_shutdown": (_PLAIN, (_PTR,)),
    "ERR_clear_error": (None, ()),
    "SSL_ctrl": (ctypes.c_long, (_PTR, _PLAIN, ctypes.c_long, _PTR)),
    "SSL_get_SSL_CTX": (_PTR, (_PTR,)),
    "SSL_get_session": (_PTR, (_PTR,)),
    "SSL_SESSION_get_id": (_PTR, (_PTR, _PTR)),
    "SSL_SESSION_get0_ticket_appdata": (_PLAIN, (_PTR, _PTR, _PTR)),
    "SSL_SESSION_set1_ticket_appdata": (_PLAIN, (_PTR, _TEXT, _SIZE)),
    "SSL_CTX_set_session_ticket_cb": (_PLAIN, (_PTR, _PTR, _PTR, _PTR)),
    "SSL_get_verify_result": (ctypes.c_long, (_PTR,)),
    "X509_verify_cert_error_string": (_TEXT, (ctypes.c_long,)),
    "d2i_X509": (_PTR, (_PTR, _PTR, ctypes.c_long)),
    "X509_free": (None, (_PTR,)),
    "EVP_aes_256_cbc": (_PTR, ()),
    "EVP_sha256": (_PTR, ()),
    "EVP_EncryptInit_ex": (_PLAIN, (_PTR, _PTR, _PTR, _PTR, _PTR)),
    "EVP_DecryptInit_ex": (_PLAIN, (_PTR, _PTR, _PTR, _PTR, _PTR)),
    "HMAC_Init_ex": (_PLAIN, (_PTR, _TEXT, _PLAIN, _PTR, _PTR)),
    "RAND_bytes": (_PLAIN, (_PTR, _PLAIN)),
    "CRYPTO_malloc": (_PTR, (_SIZE, _TEXT, _PLAIN)),
}


def _load() -> Any:
    """The library, or None where it is not the one that we know."""
    if sys.implementation.name != "cpython" or ssl.OPENSSL_VERSION_NUMBER not in _KNOWN:
        return None
    try:
        library = ctypes.CDLL(_ssl.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (AttributeError, OSError):
        return None
    return library if library.OpenSSL_version_num() == ssl.OPENSSL_VERSION_NUMBER else None


_library: Final = _load()


def check() -> bool:
    """Say whether the addresses are where they are looked for: options and ticket counts set from Python are found."""
    if _library is None or _HEADER != 2 * _POINTER:
        return False
    for tickets in (3, 7):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = tickets
        address = _address(context)
        if address is None or address % _POINTER or address < 4096:
            return False
        if _library.SSL_CTX_get_options(address) != int(context.options):
            return False
        if _library.SSL_CTX_get_num_tickets(address) != tickets:
            return False
        connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
        if _library.SSL_get_SSL_CTX(_connection(connection)) != address:
            return False
    return True


def _address(context: ssl.SSLContext) -> int | None:
    return ctypes.c_void_p.from_address(id(context) + _HEADER).value


def _connection(connection: ssl.SSLObject) -> int | None:
    inner = connection._sslobj  # type: ignore[attr-defined]
    return ctypes.c_void_p.from_address(id(inner) + _HEADER + _POINTER).value


available: Final = check()


# Settings of a context.


def set_mode(context: ssl.SSLContext, mode: int) -> None:
    """Add to the modes of connections made from now on."""
    if available:
        _library.SSL_CTX_ctrl(_address(context), _CTRL_MODE, mode, None)


def forbid(context: ssl.SSLContext, options: int) -> None:
    """Set options; the ssl module warns of those that it deprecates."""
    if available:
        _library.SSL_CTX_set_options(_address(context), options)


def set_session_cache(context: ssl.SSLContext, mode: int) -> None:
    """Where sessions without tickets are kept."""
    if available:
        _library.SSL_CTX_ctrl(_address(context), _CTRL_SESSION_CACHE, mode, None)


def set_groups(context: ssl.SSLContext, groups: str) -> bool:
    """Offer these groups for key exchange, best first: "X25519:P-256". False when the library knows one of them not."""
    if not available:
        return False
    return bool(_library.SSL_CTX_ctrl(_address(context), _CTRL_GROUPS, 0, ctypes.c_char_p(groups.encode())))


def set_session_id_context(context: ssl.SSLContext, identity: bytes) -> None:
    """Sessions made under another identity (at most 32 bytes) are not resumed."""
    if available:
        _library.SSL_CTX_set_session_id_context(_address(context), identity, len(identity))


# Certificates of clients.


def set_client_depth(context: ssl.SSLContext, depth: int) -> None:
    """At most so many certificates between a client's and one that is trusted."""
    if available:
        _library.SSL_CTX_set_verify_depth(_address(context), min(depth, 100))


def name_client_authority(context: ssl.SSLContext, certificate: bytes) -> None:
    """Tell clients, in the request for theirs, that we trust this certificate (DER)."""
    if not available:
        return
    held = ctypes.c_char_p(certificate)
    parsed = _library.d2i_X509(None, ctypes.byref(held), len(certificate))
    if parsed:
        _library.SSL_CTX_add_client_CA(_address(context), parsed)
        _library.X509_free(parsed)


def _accept_any(ok: int, store: int) -> int:
    return 1


_accept_callback: Final = _VerifyCallback(_accept_any)


def ask_without_insisting(context: ssl.SSLContext) -> bool:
    """Ask clients for a certificate, and let those with none or a bad one through: see `verify_failure`."""
    if available:
        _library.SSL_CTX_set_verify(_address(context), _VERIFY_PEER, ctypes.cast(_accept_callback, ctypes.c_void_p))
    return available


def verify_failure(connection: ssl.SSLObject) -> str:
    """Why the peer's certificate is not to be trusted; "" when it is, or when there is none."""
    if not available:
        return ""  # then `ask_without_insisting` did nothing, and a bad one has ended the handshake
    code = _library.SSL_get_verify_result(_connection(connection))
    return str(_library.X509_verify_cert_error_string(code).decode()) if code else ""


def session_id(connection: ssl.SSLObject) -> bytes:
    """What the connection's session is known by, the same when it is resumed, on any gateway; b"" when there is none.
    Python's own way to it copies the session.

    Each ticket of TLS 1.3 has an id of its own, and up to TLS 1.2 a session has none at first and the client's choice
    when it is resumed by ticket (RFC 5077 section 3.4). What stays is the name that `name_sessions` puts into tickets.
    """
    session = _library.SSL_get_session(_connection(connection)) if available else None
    return _name_of(session) if session else b""


def _name_of(session: int) -> bytes:
    data, length = ctypes.c_void_p(), ctypes.c_size_t()
    _library.SSL_SESSION_get0_ticket_appdata(session, ctypes.byref(data), ctypes.byref(length))
    return ctypes.string_at(data, length.value) if data else b""


def end(connection: ssl.SSLObject) -> None:
    """Write the end of our stream (close_notify). The module's own unwrap would read as well, and choke on data."""
    if available:
        _library.SSL_shutdown(_connection(connection))
        _library.ERR_clear_error()
        return
    with contextlib.suppress(ssl.SSLError):
        connection.unwrap()


# Session tickets.

TicketKey = tuple[bytes, bytes, bytes]
"""Name (16 bytes), AES-256 key, HMAC key (32 each)."""
TicketKeys = Callable[[], tuple[TicketKey, ...]]
"""The keys of now: tickets are made with the first, all open them."""

_tickets: dict[int, TicketKeys] = {}
_staples: dict[int, Callable[[], bytes]] = {}


def _ticket(connection: int, name: int, iv: int, cipher: int, mac: int, encrypt: int) -> int:
    """OpenSSL's SSL_CTX_set_tlsext_ticket_key_cb: 1 go on, 2 and renew, 0 no such key, -1 failure."""
    find = _tickets.get(_library.SSL_get_SSL_CTX(connection))
    keys = find() if find is not None else ()
    if encrypt:
        if not keys or _library.RAND_bytes(iv, 16) != 1:
            return 0
        ctypes.memmove(name, keys[0][0], 16)
        chosen, start = 0, _library.EVP_EncryptInit_ex
    else:
        wanted = ctypes.string_at(name, 16)
        chosen = next((at for at, key in enumerate(keys) if key[0] == wanted), -1)
        start = _library.EVP_DecryptInit_ex
        if chosen < 0:
            return 0
    _, aes, hmac = keys[chosen]
    is_ready = (
        start(cipher, _library.EVP_aes_256_cbc(), None, aes, iv) == 1
        and _library.HMAC_Init_ex(mac, hmac, len(hmac), _library.EVP_sha256(), None) == 1
    )
    if not is_ready:
        return -1
    return 1 if encrypt or not chosen else 2


def _named(connection: int, argument: int) -> int:
    """OpenSSL's SSL_CTX_set_session_ticket_cb, ahead of each ticket: 1 make it. Its session keeps the name it has."""
    session = _library.SSL_get_session(connection)
    if session and not _name_of(session):
        _library.SSL_SESSION_set1_ticket_appdata(session, os.urandom(_NAME_BYTES), _NAME_BYTES)
    return 1


def _status(connection: int, argument: int) -> int:
    """SSL_CTX_set_tlsext_status_cb: 0 answer with what was set, 3 (NOACK) answer nothing."""
    find = _staples.get(_library.SSL_get_SSL_CTX(connection))
    response = find() if find is not None else b""
    if not response:
        return 3
    copy = _library.CRYPTO_malloc(len(response), b"", 0)  # the library frees it
    if not copy:
        return 3
    ctypes.memmove(copy, response, len(response))
    _library.SSL_ctrl(connection, _CTRL_STATUS_RESPONSE, len(response), copy)
    return 0


_ticket_callback: Final = _TicketCallback(_ticket)
_naming_callback: Final = _NamingCallback(_named)
_status_callback: Final = _StatusCallback(_status)


def set_ticket_keys(context: ssl.SSLContext, keys: TicketKeys) -> bool:
    """Make and open session tickets with what `keys` returns. Without it OpenSSL makes keys that nobody else has.
    Call `forget` when the context goes."""
    address = _address(context) if available else None
    if address is None:
        return False
    _tickets[address] = keys
    _library.SSL_CTX_callback_ctrl(address, _CTRL_TICKET_CB, ctypes.cast(_ticket_callback, ctypes.c_void_p))
    return True


def name_sessions(context: ssl.SSLContext) -> None:
    """Give each session that gets a ticket a random name, found again by `session_id` wherever it is resumed."""
    if available:
        callback = ctypes.cast(_naming_callback, ctypes.c_void_p)
        _library.SSL_CTX_set_session_ticket_cb(_address(context), callback, None, None)


def set_staple(context: ssl.SSLContext, response: Callable[[], bytes]) -> bool:
    """Staple what `response` returns, an OCSP response (DER); b"" staples nothing. Call `forget` when it goes."""
    address = _address(context) if available else None
    if address is None:
        return False
    _staples[address] = response
    _library.SSL_CTX_callback_ctrl(address, _CTRL_STATUS_CB, ctypes.cast(_status_callback, ctypes.c_void_p))
    return True


def forgetter(context: ssl.SSLContext) -> Callable[[], None]:
    """Return what drops the entries of `context`: to be called when it is collected, for its address may come again."""
    address = _address(context) if available else None

    def forget() -> None:
        if address is not None:
            _tickets.pop(address, None)
            _staples.pop(address, None)

    return forget
