"""What the head of a message must look like, byte by byte, before httptools may read it (RFC 9112 sections 3 to 5).

One expression accepts a whole head; only when it fails do the functions below find out why, so that honest traffic
pays for one pass in C.
"""

import re

from userspace.http.events import ProtocolError

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_FIELD_LINES = rb"(?:" + _TOKEN + rb"++:[\t -~\x80-\xff]*+\r\n)*+\r\n"

REQUEST_HEAD = re.compile(rb"(" + _TOKEN + rb"++) ([!-~]++) HTTP/1\.([01])\r\n" + _FIELD_LINES)
"""A complete request head. Groups: method, target, minor version."""

RESPONSE_HEAD = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*+))?\r\n" + _FIELD_LINES)
"""A complete response head. Groups: minor version, status, reason."""

TRAILERS = re.compile(_FIELD_LINES)

FIELD = re.compile(rb"\r\n(" + _TOKEN + rb"++):[ \t]*+([\t -~\x80-\xff]*+)")
"""One field line with the CRLF before it, in a head that was accepted. Groups: name, value with blanks behind it."""

BAD_BYTE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")
"""A control, a CR that begins no line end, or an LF that ends none: wrong wherever it stands in a head."""

_METHOD = re.compile(_TOKEN + rb"++")
_TARGET = re.compile(rb"[!-~]++")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t -~\x80-\xff]*+)?")
_CONTROL = {0: "NUL", 10: "bare LF", 13: "bare CR"}


def why_not_request(lines: bytes) -> ProtocolError:
    """Say why `lines` (a head REQUEST_HEAD did not accept, or its beginning with whole lines) is no request head."""
    return _bad_byte(400, lines) or bad_request_line(lines) or _bad_field_line(400, lines)


def why_not_response(lines: bytes) -> ProtocolError:
    """The same for a response of an upstream."""
    return _bad_byte(502, lines) or bad_status_line(lines) or _bad_field_line(502, lines)


def why_not_trailers(status: int, lines: bytes) -> ProtocolError:
    """The same for a trailer section."""
    return _bad_byte(status, lines) or _bad_field_line(status, b"\r\n" + lines)


def bad_request_line(lines: bytes) -> ProtocolError | None:
    """Return what is wrong with the first line, if anything is."""
    parts = lines.partition(b"\r\n")[0].split(b" ")
    if _METHOD.fullmatch(parts[0]) is None:
        return ProtocolError(400, "bad method")
    if len(parts) == 2 and parts[1]:
        return ProtocolError(400, "HTTP/0.9 request line")
    if len(parts) != 3:
        return ProtocolError(400, "bad request line")
    if _TARGET.fullmatch(parts[1]) is None:
        return ProtocolError(400, "bad byte in request target")
    version = _VERSION.fullmatch(parts[2])
    if version is None:
        return ProtocolError(400, "bad HTTP version")
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        return ProtocolError(505, "unsupported HTTP version")
    return None


def bad_status_line(lines: bytes) -> ProtocolError | None:
    """Return what is wrong with the first line of a response, if anything is."""
    if _STATUS_LINE.fullmatch(lines.partition(b"\r\n")[0]) is None:
        return ProtocolError(502, "bad status line")
    return None


def bad_byte(status: int, found: int) -> ProtocolError:
    """Name the byte `found` that may not stand in a head."""
    return ProtocolError(status, _CONTROL.get(found) or f"control byte 0x{found:02x} in head")


def _bad_byte(status: int, lines: bytes) -> ProtocolError | None:
    found = BAD_BYTE.search(lines)
    return None if found is None else bad_byte(status, found.group()[0])


def _bad_field_line(status: int, lines: bytes) -> ProtocolError:
    for line in lines.split(b"\r\n")[1:]:
        name, colon, _ = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            return ProtocolError(status, "folded header line")
        if line and not colon:
            return ProtocolError(status, "header line without colon")
        if line and not name:
            return ProtocolError(status, "empty header name")
        if name[-1:] in (b" ", b"\t"):
            return ProtocolError(status, "space before colon in header line")
        if line and _METHOD.fullmatch(name) is None:
            return ProtocolError(status, "bad byte in header name")
    return ProtocolError(status, "bad head")
