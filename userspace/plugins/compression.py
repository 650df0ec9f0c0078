"""What gzip and brotli share: which answers are worth it, what a coded one says, how much memory coders may take."""

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from userspace.http.request import Request
from userspace.plugins.response import Response

MEMORY: Final = 256 << 20
"""Bytes that the coders of a worker may take together; answers beyond it go as they are, which is always right."""

_ETAG: Final = re.compile(rb'(W/)?("[^"]*")')
# A part of a body cannot be coded as if it were whole (RFC 9110 section 14), and these have none.
_WITHOUT: Final = frozenset((204, 205, 206, 304))


class Compressor(Protocol):
    """As zlib and brotli have it."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes:
        """Everything that was given is in what came out."""
        ...

    def finish(self) -> bytes: ...


class Coders:
    """Those of one worker take `taken` bytes together. `declined`: answers that went as they are for want of memory."""

    def __init__(self, most: int = MEMORY) -> None:
        self.declined = 0
        self.taken = 0
        self._most = most

    def may_take(self, cost: int) -> bool:
        """Say whether one more coder may take so many bytes."""
        if self.taken + cost <= self._most:
            return True
        self.declined += 1
        return False


class Coder:
    """A transform that compresses a body, and takes `cost` bytes until its end, or until nobody wants it any more.
    `is_endless`: nobody knows how long the body is, so what has come goes on at once: it may be all for a while."""

    __slots__ = ("_coders", "_compressor", "_cost", "_flushes")

    def __init__(self, compressor: Compressor, is_endless: bool, coders: Coders, cost: int) -> None:
        self._compressor: Compressor | None = compressor
        self._flushes = is_endless
        self._coders = coders
        self._cost = cost
        coders.taken += cost

    def __call__(self, data: bytes, is_last: bool) -> bytes:
        compressor = self._compressor
        assert compressor is not None, "a body ends once"
        out = compressor.compress(data) if data else b""
        if is_last:
            self._release()
            return out + compressor.finish()
        return out + compressor.flush() if self._flushes and data else out

    def _release(self) -> None:
        if self._compressor is not None:
            self._compressor = None
            self._coders.taken -= self._cost

    __del__ = _release


def is_wanted(conf: Mapping[str, Any], request: Request, response: Response) -> bool:
    """What both plugins ask of an answer: `types`, `min_length`, `http_version`, as APISIX does; and that it has a body
    that may be changed (RFC 9111 section 5.2.2.6)."""
    kind = response.header(b"content-type")
    if kind is None or (conf["types"] != "*" and kind.partition(b";")[0].decode("latin-1") not in conf["types"]):
        return False
    length = response.header(b"content-length")
    if length is not None and length.isdigit() and int(length) < conf["min_length"]:
        return False
    if float(request.head.version) < conf["http_version"]:
        return False
    if request.head.method in ("HEAD", "CONNECT") or response.status < 200 or response.status in _WITHOUT:
        return False
    return not any(b"no-transform" in value.lower() for value in response.header_values(b"cache-control"))


def accepts(request: Request, coding: bytes, by_wildcard: bool) -> bool:
    """Say whether Accept-Encoding allows a coding (RFC 9110 section 12.5.3); `by_wildcard`: `*` is enough."""
    fits = False
    for value in request.header_values(b"accept-encoding"):
        for one in value.lower().split(b","):
            name, _, parameters = one.partition(b";")
            name = name.strip(b" \t")
            if name == coding:
                return not _is_zero(parameters)
            fits = fits or (by_wildcard and name == b"*" and not _is_zero(parameters))
    return fits


def is_endless(response: Response) -> bool:
    """True while no length is known. To be asked before `mark`."""
    return response.header(b"content-length") is None


def mark(response: Response, coding: bytes) -> None:
    """Say that the body is coded: other bytes under the same name have no strong ETag in common, and no ranges."""
    found = _ETAG.fullmatch(response.header(b"etag") or b"")
    for name in (b"content-length", b"accept-ranges"):
        response.remove_header(name)
    if found is None:
        response.remove_header(b"etag")
    elif found[1] is None:
        response.set_header(b"ETag", b"W/" + found[2])
    response.set_header(b"Content-Encoding", coding)


def add_vary(response: Response, conf: Mapping[str, Any]) -> None:
    """The answer depends on Accept-Encoding, if the configuration wants that said."""
    if conf.get("vary"):
        response.add_header(b"Vary", b"Accept-Encoding")


def _is_zero(parameters: bytes) -> bool:
    name, _, value = parameters.partition(b"=")
    return name.strip(b" \t") == b"q" and re.fullmatch(rb"0(\.0*)?", value.strip(b" \t")) is not None
