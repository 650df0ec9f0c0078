"""LogFormat: an access log line made of variables, as nginx's `log_format` writes it. Pure."""

import re
from typing import Final

from userspace.http.request import Request
from userspace.http.variables import Getter, getter

DEFAULT: Final = (
    '$remote_addr - $remote_user [$time_local] $http_host "$request" $status $body_bytes_sent $request_time'
    ' "$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time'
    ' "$upstream_scheme://$upstream_host$upstream_uri" "$apisix_request_id"'
)
"""APISIX's; `access_log_format=apisix` stands for it."""

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
# nginx's escape=default: a line stays a line, and a quoted value ends where it ends.
_UNSAFE: Final = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')


class LogFormat:
    """Compiled once per worker. A variable that an exchange does not have is written as "-"."""

    __slots__ = ("_getters", "_texts")

    def __init__(self, text: str) -> None:
        pieces = _VARIABLE.split(DEFAULT if text == "apisix" else text)
        self._texts = [piece.encode() for piece in pieces[::3]]
        names = [braced or bare for braced, bare in zip(pieces[1::3], pieces[2::3], strict=True)]
        self._getters: list[Getter] = [getter(name) for name in names]

    def line(self, request: Request) -> bytes:
        """Return the line for an exchange whose summary the request has, with its line feed."""
        out = [self._texts[0]]
        for get, text in zip(self._getters, self._texts[1:], strict=True):
            value = get(request)
            out.append(b"-" if value is None else _escaped(str(value)))
            out.append(text)
        out.append(b"\n")
        return b"".join(out)


def _escaped(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogateescape")
    return _UNSAFE.sub(lambda found: b"\\x%02X" % found.group()[0], raw)
