"""Request targets and authorities (RFC 9112 section 3.2, RFC 3986 section 6.2.2): what routing may rely on."""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from userspace.http.events import ProtocolError, RequestHead

MAX_AUTHORITY_BYTES = 253 + 2 + 6  # the longest DNS name, brackets, a port

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)")
_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]+\]|[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*)(?::([0-9]{0,5}))?")
_WITH_PORT = re.compile(rb"[^:]:[0-9]{1,5}\Z")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def split_target(method: str, target: bytes) -> tuple[str, bytes, bytes | None]:
    """Return (normalised path, query without `?`, authority of an absolute-form target or None).

    `*` stays "*" and is for OPTIONS only. A target of CONNECT is an authority with a port, its path is taken for "/".
    The authority is not validated here. Raises ProtocolError 400.
    """
    authority = None
    if method == "CONNECT":
        if _WITH_PORT.search(target) is None:
            raise ProtocolError(400, "CONNECT without a port")
        return "/", b"", target
    if target[:1] != b"/":
        if target == b"*":
            if method != "OPTIONS":
                raise ProtocolError(400, "asterisk target outside OPTIONS")
            return "*", b"", None
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise ProtocolError(400, "bad request target")
        authority, target = absolute.groups()
        if not target and method == "OPTIONS":
            return "*", b"", authority
        if target[:1] != b"/":
            target = b"/" + target
    if b"#" in target:
        raise ProtocolError(400, "fragment in request target")
    path, _, query = target.partition(b"?")
    return normalise_path(path), query, authority


def normalise_path(path: bytes) -> str:
    """Return the path as routing sees it: escapes decoded, then dot segments resolved and slashes merged, as nginx's
    $uri. `path` starts with a slash. Bytes that are no UTF-8 become surrogate escapes.

    Raises ProtocolError 400 for a bad escape, an escaped NUL, or a path that climbs above the root.
    """
    if b"%" not in path:
        if b"//" not in path and b"/." not in path:
            return path.decode("ascii")
    else:
        if _BAD_ESCAPE.search(path) is not None:
            raise ProtocolError(400, "bad escape in request target")
        path = unquote_to_bytes(path)
        if b"\x00" in path:
            raise ProtocolError(400, "NUL in request target")
        if b"//" not in path and b"/." not in path:
            return path.decode("utf-8", "surrogateescape")
    segments = path.split(b"/")
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise ProtocolError(400, "request target climbs above the root")
            kept.pop()
        elif segment and segment != b".":
            kept.append(segment)
    if kept and segments[-1] in (b"", b".", b".."):
        kept.append(b"")
    return (b"/" + b"/".join(kept)).decode("utf-8", "surrogateescape")


def parse_authority(value: bytes) -> tuple[str, str]:
    """Return (authority as sent, host in lower case without port and final dot). IPv6 hosts keep their brackets.

    Raises ProtocolError 400 for an empty one, user information, and anything that is no host[:port].
    """
    if len(value) > MAX_AUTHORITY_BYTES:
        raise ProtocolError(400, "Host is too long")
    return _parse_authority(value)


# Hosts repeat: a hit costs a tenth of the match. At most 1024 values of MAX_AUTHORITY_BYTES stay.
@lru_cache(maxsize=1024)
def _parse_authority(value: bytes) -> tuple[str, str]:
    matched = _AUTHORITY.fullmatch(value)
    if matched is None:
        raise ProtocolError(400, "bad Host" if value else "empty Host")
    host, port = matched.groups()
    if port and not 0 < int(port) < 65536:
        raise ProtocolError(400, "bad port in Host")
    return value.decode("ascii"), host.decode("ascii").lower().removesuffix(".")


def origin_form(head: RequestHead) -> bytes:
    """Return the target to send to an endpoint: as the client sent it, without the scheme and authority of an
    absolute-form target."""
    target = head.target
    if target[:1] == b"/" or target == b"*" or head.method == "CONNECT":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target
    rest: bytes = absolute.group(2)
    if rest[:1] == b"/":
        return rest
    return b"*" if not rest and head.method == "OPTIONS" else b"/" + rest
