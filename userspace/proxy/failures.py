"""What can go wrong toward an endpoint, as LbError: which status the client gets, and when another try is allowed."""

import asyncio
import errno
import socket
from typing import Final

from userspace.errors import LbError, Retry, Source

# RFC 9110 section 9.2.2. A method not listed may have changed something by being received.
IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PROPFIND", "SEARCH", "REPORT"))

_STATUS: Final = {
    "connect_timeout": 504,
    "send_timeout": 504,
    "read_timeout": 504,
    "no_endpoint": 503,
    "resolve_failed": 503,
    "endpoint_full": 503,
    "stick_refused": 503,
    "no_descriptor": 503,
    "too_many_requests": 503,
    "too_many_pending": 503,
}
_TEXT: Final = {
    404: "404 Not Found",
    502: "502 Bad Gateway",
    503: "503 Service Unavailable",
    504: "504 Gateway Time-out",
}

NO_ENDPOINT: Final = LbError("no_endpoint", Source.UPSTREAM, Retry.NEVER)
STICK_REFUSED: Final = LbError("stick_refused", Source.UPSTREAM, Retry.NEVER)
ENDPOINT_FULL: Final = LbError("endpoint_full", Source.UPSTREAM, Retry.ALWAYS)
TOO_MANY_REQUESTS: Final = LbError("too_many_requests", Source.UPSTREAM, Retry.NEVER)
TOO_MANY_PENDING: Final = LbError("too_many_pending", Source.UPSTREAM, Retry.NEVER)
CONNECT_TIMEOUT: Final = LbError("connect_timeout", Source.UPSTREAM, Retry.ALWAYS)
NO_CLIENT_CERTIFICATE: Final = LbError("no_client_certificate", Source.INTERNAL, Retry.NEVER)
SEND_TIMEOUT: Final = LbError("send_timeout", Source.UPSTREAM, Retry.ALWAYS)
READ_TIMEOUT: Final = LbError("read_timeout", Source.UPSTREAM, Retry.ALWAYS)
RESET: Final = LbError("reset", Source.UPSTREAM, Retry.ALWAYS)
CLOSED: Final = LbError("closed", Source.UPSTREAM, Retry.ALWAYS)
TRUNCATED: Final = LbError("truncated", Source.UPSTREAM, Retry.ALWAYS)
CLIENT_GONE: Final = LbError("gone", Source.CLIENT, Retry.NEVER)
BODY_TIMEOUT: Final = LbError("body_timeout", Source.CLIENT, Retry.NEVER)
BODY_TOO_SLOW: Final = LbError("body_too_slow", Source.CLIENT, Retry.NEVER)
BODY_TOO_LARGE: Final = LbError("body_too_large", Source.CLIENT, Retry.NEVER)
TUNNEL_IDLE: Final = LbError("tunnel_idle", Source.CLIENT, Retry.NEVER)
DRAINED: Final = LbError("drained", Source.INTERNAL, Retry.NEVER)


def bad_response(detail: str) -> LbError:
    """The endpoint sent bytes that are no HTTP/1.1 response. It received the request, so there is no other try."""
    return LbError("bad_response", Source.UPSTREAM, Retry.NEVER, detail)


def connect_failure(error: OSError) -> LbError:
    """Name why a connection could not be opened. Nothing was sent, so another endpoint may be tried."""
    if isinstance(error, ConnectionRefusedError):
        return LbError("connect_refused", Source.UPSTREAM, Retry.ALWAYS)
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return CONNECT_TIMEOUT
    if isinstance(error, socket.gaierror):
        return LbError("resolve_failed", Source.UPSTREAM, Retry.ALWAYS, str(error))
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL):
        return LbError("no_descriptor", Source.INTERNAL, Retry.NEVER, str(error))
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return LbError("connect_unreachable", Source.UPSTREAM, Retry.ALWAYS)
    return LbError("connect_failed", Source.UPSTREAM, Retry.ALWAYS, str(error))


def status_of(error: LbError) -> int:
    """Return the status that tells a client of this failure: 502, 503 or 504."""
    return _STATUS.get(error.kind, 502)


def text_of(status: int) -> str:
    """Return the body text for a status that `status_of` gave, or for an upstream's refusal."""
    return _TEXT[status]


def may_retry(error: LbError, sent: bool, idempotent: bool) -> bool:
    """Decide whether the request may be tried again, given that nothing of a response was passed on.

    `sent`: some of the request may have reached an endpoint in any try; then only an idempotent method is tried again.
    """
    return error.retry is Retry.ALWAYS and (idempotent or not sent)


def is_stale(error: LbError, reused: bool) -> bool:
    """Say whether a kept connection (`reused`) was one that its endpoint had closed: that says nothing about it."""
    return reused and error.kind in ("reset", "closed")
