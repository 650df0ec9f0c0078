"""proxy-rewrite: what endpoints get differs from what the client sent."""

from collections.abc import Sequence

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.escape import escape_path, split_escaped
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.header_operations import HeaderOperations
from userspace.plugins.outcome import Outcome
from userspace.plugins.template import Template
from userspace.routing.pattern import Pattern, Replacement

_Captures = Sequence[str | None]


class ProxyRewrite(Filter):
    NAME = "proxy-rewrite"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._is_raw: bool = conf["use_real_request_uri_unsafe"]
        self._uri = Template(conf["uri"]) if "uri" in conf else None
        pairs = conf.get("regex_uri", ())
        self._rules = [(Pattern(pattern), Replacement(by)) for pattern, by in zip(pairs[::2], pairs[1::2], strict=True)]
        self._host = conf["host"].encode() if "host" in conf else None
        self._method: str | None = conf.get("method")
        self._headers = HeaderOperations(conf["headers"]) if "headers" in conf else None

    def rewrite(self, request: Request) -> Outcome:
        if self._host is not None:
            request.upstream_host = self._host
        captures = self._rewrite_uri(request)
        if self._headers is not None:
            self._rewrite_headers(request, self._headers, captures)
        if self._method is not None:
            request.method = self._method
        return None

    def _rewrite_uri(self, request: Request) -> _Captures:
        """Say where to; returns what the pattern took."""
        target = request.head.target.decode("latin-1") if self._is_raw else request.path
        captures: _Captures = ()
        is_split = self._uri is not None
        if self._uri is not None:
            target = self._uri.fill(request, _without_question_mark)
        elif self._rules:
            # A `?` in the path was escaped by the client: then none that the replacement has begins a query.
            is_split = "?" not in target
            for pattern, replacement in self._rules:
                taken = pattern.groups(target)
                if taken is not None:
                    captures = taken
                    target = pattern.sub(target, replacement)[0]
                    break
        if self._is_raw:
            path, mark, query = target.partition("?")
            request.upstream_path = _one_line(path)
            request.upstream_query = _one_line(query) if mark else b""
        elif is_split:
            escaped, own = split_escaped(target)
            request.upstream_path = escaped
            if own is not None:
                request.upstream_query = b"&".join(filter(None, (_one_line_bytes(own), request.query)))
        else:
            request.upstream_path = escape_path(target)
        return captures

    def _rewrite_headers(self, request: Request, headers: HeaderOperations, captures: _Captures) -> None:
        for name, values in headers.add:
            for value in values:
                request.add_header(name, _filled(value, request, captures))
        for name, values in headers.set:
            first = _filled(values[0], request, captures)
            if first:
                request.set_header(name, first)
            else:
                request.remove_header(name)  # as nginx has it: nothing is no value
            for value in values[1:]:
                request.add_header(name, _filled(value, request, captures))
        for name in headers.remove:
            request.remove_header(name)


def _filled(value: Template, request: Request, captures: _Captures) -> bytes:
    return _one_line(value.fill(request, captures=captures)).strip(b" \t")


def _without_question_mark(value: str) -> str:
    """What a variable says must not begin a query."""
    return value.replace("?", "%3F")


def _one_line(text: str) -> bytes:
    return _one_line_bytes(text.encode("utf-8", "surrogateescape"))


def _one_line_bytes(value: bytes) -> bytes:
    """A client's decoded bytes may end no line of ours."""
    return value.replace(b"\r", b"%0D").replace(b"\n", b"%0A").replace(b"\x00", b"%00")
