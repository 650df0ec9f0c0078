"""brotli: answers are compressed better than by gzip, for clients that accept it."""

from typing import Any, Final

from userspace.http.request import Request
from userspace.plugins.compression import Coder, accepts, add_vary, is_endless, is_wanted, mark
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.response import Response

MAX_LEVEL: Final = 6
"""What a configuration asks for beyond it is done so: a read's 256 KiB take 8 ms at 6, 25 at 7, 60 at 8, 700 at 11, and
a worker does nothing else meanwhile."""

_WINDOW: Final = 22  # lgwin 0: the library's own


def cost_of(level: int) -> int:
    """Bytes of memory that a compressor takes, as measured."""
    return (768 << 10) if level < 2 else (1536 << 10) if level < 5 else (4 << 20)


class Brotli(Filter):
    """Unlike gzip a transform among others, in the order of priorities, as in APISIX."""

    NAME = "brotli"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        import brotli  # not at the top: few workers compress

        self._level = min(conf["comp_level"], MAX_LEVEL)
        self._cost = cost_of(self._level)
        self._library: Any = brotli
        self._options = {
            "mode": conf["mode"],
            "quality": self._level,
            "lgwin": conf["lgwin"] or _WINDOW,
            "lgblock": conf["lgblock"],
        }

    def header_filter(self, request: Request, response: Response) -> None:
        if not accepts(request, b"br", by_wildcard=True) or response.header(b"content-encoding") is not None:
            return
        if not is_wanted(self.conf, request, response):
            return
        add_vary(response, self.conf)
        coders = self.env.coders
        if not coders.may_take(self._cost):
            return
        compressor = _Compressor(self._library.Compressor(**self._options))
        response.transforms.append(Coder(compressor, is_endless(response), coders, self._cost))
        mark(response, b"br")


class _Compressor:
    __slots__ = ("compress", "finish", "flush")

    def __init__(self, inner: Any) -> None:
        self.compress = inner.process
        self.flush = inner.flush
        self.finish = inner.finish
