"""echo: text of the operator's around the body of an answer, or instead of it."""

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.header_operations import value_text
from userspace.plugins.response import Response, Transform


class Echo(Filter):
    NAME = "echo"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._before: bytes = conf.get("before_body", "").encode()
        self._after: bytes = conf.get("after_body", "").encode()
        self._body: bytes | None = conf["body"].encode() if "body" in conf else None
        self._headers = [(name.encode(), value_text(value).encode()) for name, value in conf.get("headers", {}).items()]

    def header_filter(self, request: Request, response: Response) -> None:
        if self._body is not None:
            response.remove_header(b"content-encoding")
            response.transform(_around(self._before, self._body, self._after))
        elif (self._before or self._after) and response.header(b"content-encoding") is None:
            # Text beside a coded body would be no part of it.
            response.transform(_around(self._before, None, self._after))
        for name, value in self._headers:
            response.set_header(name, value)


def _around(before: bytes, instead: bytes | None, after: bytes) -> Transform:
    """Return what puts `before` ahead of a body and `after` behind it; `instead` takes its place."""
    ahead = [before]

    def transform(data: bytes, is_last: bool) -> bytes:
        first = ahead.pop() + (instead or b"") if ahead else b""
        return first + (data if instead is None else b"") + (after if is_last else b"")

    return transform
