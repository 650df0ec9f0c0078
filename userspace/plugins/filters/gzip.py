"""gzip: answers are compressed for clients that accept it, behind everything that other plugins do with them."""

import zlib
from typing import Any, Final

from userspace.http.request import Request
from userspace.plugins.compression import Coder, accepts, add_vary, is_endless, is_wanted, mark
from userspace.plugins.filter import Filter
from userspace.plugins.response import Response, Transform

COST: Final = 280 << 10
"""Bytes of memory that one of zlib's compressors takes at 15 bits of window and memory level 8."""

# Those that nginx compresses.
_STATUSES: Final = frozenset((200, 403, 404))
_GZIP: Final = 16 + zlib.MAX_WBITS


class Gzip(Filter):
    """nginx compresses behind all of APISIX's plugins, so `types` and lengths are those of this phase, the coding is
    that of the very end. `buffers` asks for nothing here: what has been compressed goes on at once."""

    NAME = "gzip"

    def header_filter(self, request: Request, response: Response) -> None:
        if not is_wanted(self.conf, request, response):
            return
        add_vary(response, self.conf)
        response.code_by(lambda last: self._begin(request, last))

    def _begin(self, request: Request, response: Response) -> Transform | None:
        if response.status not in _STATUSES or response.header(b"content-encoding") is not None:
            return None
        # nginx's gzip_proxied is off: who stands behind another proxy may not tell what it can do.
        if request.header(b"via") is not None or not accepts(request, b"gzip", by_wildcard=False):
            return None
        coders = self.env.coders
        if not coders.may_take(COST):
            return None
        compressor = _Compressor(zlib.compressobj(self.conf["comp_level"], zlib.DEFLATED, _GZIP))
        coder = Coder(compressor, is_endless(response), coders, COST)
        mark(response, b"gzip")
        return coder


class _Compressor:
    __slots__ = ("_zlib", "compress")

    def __init__(self, inner: Any) -> None:
        self._zlib = inner
        self.compress = inner.compress

    def flush(self) -> bytes:
        out: bytes = self._zlib.flush(zlib.Z_SYNC_FLUSH)
        return out

    def finish(self) -> bytes:
        out: bytes = self._zlib.flush()
        return out
