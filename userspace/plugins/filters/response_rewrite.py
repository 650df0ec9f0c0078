"""response-rewrite: what the client gets differs from what was answered."""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from userspace.http.request import Request
from userspace.plugins.content_coding import BadCoding, Decode, decoder
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.header_operations import HeaderOperations
from userspace.plugins.response import Response, Transform
from userspace.routing.expr import compile_expression
from userspace.routing.pattern import Pattern, Replacement

# A `$` that stands for an end: PCRE's matches ahead of a final line feed too.
_END: Final = re.compile(r"(?<!\\)(?:\\\\)*\$")


class ResponseRewrite(Filter):
    NAME = "response-rewrite"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._condition = compile_expression(conf["vars"]) if conf.get("vars") else None
        self._headers = HeaderOperations(conf["headers"]) if conf.get("headers") else None
        self._status: int | None = conf.get("status_code")
        self._body: bytes | None = None
        if "body" in conf:
            self._body = _decoded(conf["body"]) if conf["body_base64"] else conf["body"].encode()
        self._rules = [_rule(rule) for rule in conf.get("filters", ())]
        self._most: int = conf["max_resp_body_size"]

    def header_filter(self, request: Request, response: Response) -> None:
        if self._condition is not None and not self._condition(request):
            return
        if self._status is not None:
            response.status = self._status
        if self._body is not None:
            response.remove_header(b"content-encoding")
            response.transform(_instead(self._body))
        elif self._rules:
            decode = decoder(response.header(b"content-encoding"))
            if decode is not None:  # else nobody here can read it, and it passes as it is
                response.remove_header(b"content-encoding")
                response.transform(Held(self._changed, decode(self._most), self._most))
        if self._headers is not None:
            _rewrite_headers(request, response, self._headers)

    def _changed(self, body: bytes) -> bytes:
        for rule in self._rules:
            body = rule.apply(body)
        return body


class _Rule(NamedTuple):
    pattern: Pattern
    replacement: Replacement
    once: bool
    has_end: bool

    def apply(self, body: bytes) -> bytes:
        if self.has_end and body.endswith(b"\n"):
            return self.pattern.sub_bytes(body[:-1], self.replacement, self.once)[0] + b"\n"
        return self.pattern.sub_bytes(body, self.replacement, self.once)[0]


class TooLong(ValueError):
    """A body is longer than it may be."""


class Held:
    """A transform that keeps a body back until it is whole, decoded, and then passes it through `change`.

    Raises TooLong beyond `most` bytes: half of it changed would be neither the one nor the other. What is not coded as
    it was said passes as it came.
    """

    def __init__(self, change: Callable[[bytes], bytes], decode: Decode, most: int) -> None:
        self._change = change
        self._decode: Decode | None = decode
        self._most = most
        self._raw: list[bytes] = []
        self._pieces: list[bytes] = []
        self._size = 0

    def __call__(self, data: bytes, is_last: bool) -> bytes:
        self._size += len(data)
        if self._size > self._most:
            raise TooLong(f"response-rewrite: a body of more than {self._most} bytes, see max_resp_body_size")
        self._raw.append(data)
        if self._decode is not None:
            try:
                self._pieces.append(self._decode(data, is_last))
            except BadCoding:
                self._decode = None
        if not is_last:
            return b""
        raw, pieces, self._raw, self._pieces = self._raw, self._pieces, [], []
        return b"".join(raw) if self._decode is None else self._change(b"".join(pieces))


def _rule(conf: Mapping[str, Any]) -> _Rule:
    options = conf.get("options", "jo")
    # Of ngx.re's options those that change what is found; the others say how, and `u` has no meaning for bytes.
    inline = "".join(flag for flag in "sm" if flag in options)
    source = conf["regex"]
    if "x" in options:
        source = re.sub(r"(\\.|\[(?:\\.|[^\]])*\])|\s+|#.*", lambda found: found[1] or "", source)
    source = ("^" if "a" in options else "") + source
    pattern = Pattern(f"(?{inline}){source}" if inline else source, "i" in options)
    has_end = _END.search(source) is not None and "m" not in options and "D" not in options
    return _Rule(pattern, Replacement(conf["replace"]), conf.get("scope", "once") == "once", has_end)


def _instead(body: bytes) -> Transform:
    """Return what gives `body` at once, whatever comes."""
    left = [body]
    return lambda data, is_last: left.pop() if left else b""


def _decoded(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))


def _rewrite_headers(request: Request, response: Response, headers: HeaderOperations) -> None:
    for name, values in headers.add:
        for line in filter(None, (_line(value.fill(request)) for value in values)):
            response.add_header(name, line)
    for name, values in headers.set:
        line = _line(values[0].fill(request))
        if line:
            response.set_header(name, line)
        else:
            response.remove_header(name)  # as nginx has it: nothing is no value
    for name in headers.remove:
        response.remove_header(name)


def _line(text: str) -> bytes:
    """A client's decoded bytes may end no line of ours."""
    value = text.encode("utf-8", "surrogateescape").strip(b" \t")
    return value.replace(b"\r", b"%0D").replace(b"\n", b"%0A").replace(b"\x00", b"%00")
