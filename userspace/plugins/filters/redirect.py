"""redirect: the answer is another address."""

import re
from typing import Final

from userspace.http.footprint import PATH, Footprint
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.escape import escape_path
from userspace.plugins.filter import EVERY_REQUEST, Conf, Filter
from userspace.plugins.outcome import Outcome
from userspace.plugins.page import page
from userspace.routing.pattern import Pattern, Replacement

# As APISIX reads a `uri`: `\$name` stays as it is written, `${name}` and `$name` are variables, other text is itself.
_SEGMENT: Final = re.compile(r"(\\\$[0-9a-zA-Z_]+)|\$\{([0-9a-zA-Z_]+)\}|\$([0-9a-zA-Z_]+)|(\$|[^$\\]+)")


class Redirect(Filter):
    NAME = "redirect"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._uri = _segments(conf["uri"]) if "uri" in conf else None
        self._pattern: Pattern | None = None
        if "regex_uri" in conf:
            self._pattern = Pattern(conf["regex_uri"][0])
            self._replacement = Replacement(conf["regex_uri"][1])

    @classmethod
    def footprint(cls, conf: Conf) -> Footprint | None:
        return Footprint(PATH) if "regex_uri" in conf and not conf.get("http_to_https") else EVERY_REQUEST

    def rewrite(self, request: Request) -> Outcome:
        status: int = self.conf["ret_code"]
        if self.conf.get("http_to_https") and _scheme(request) == "http":
            status = 301 if request.method in ("GET", "HEAD") else 308
            location: str | None = f"https://{request.host}{_port(self.env.https_port)}{request.var('request_uri')}"
        else:
            location = self._location(request)
        if location is None:
            return None
        target = location.encode("utf-8", "surrogateescape")
        path, mark, rest = location.partition("?")
        if self.conf["encode_uri"]:
            target = escape_path(path) + (mark + rest).encode("utf-8", "surrogateescape")
        if self.conf["append_query_string"] and request.query:
            target += (b"&" if mark else b"?") + request.query
        return page(status, (b"Location", _one_line(target)))

    def _location(self, request: Request) -> str | None:
        if self._uri is not None:
            return "".join([(request.var(text) or "") if is_name else text for is_name, text in self._uri])
        if self._pattern is not None:
            location, count = self._pattern.sub(request.path, self._replacement)
            return location if count else None
        return None


def _segments(uri: str) -> list[tuple[bool, str]]:
    """What a `uri` consists of: (whether it is the name of a variable, text)."""
    return [
        (bool(segment[2] or segment[3]), segment[2] or segment[3] or segment[0]) for segment in _SEGMENT.finditer(uri)
    ]


def _scheme(request: Request) -> str:
    """That of the client, which a trusted proxy in between may tell."""
    told = request.header(b"x-forwarded-proto") if request.peer.trusted else None
    return told.decode("latin-1") if told else request.scheme


def _port(port: int | None) -> str:
    return "" if port in (None, 443) else f":{port}"


def _one_line(value: bytes) -> bytes:
    """A decoded path may hold line ends, which must not end the field."""
    return value.replace(b"\r", b"%0D").replace(b"\n", b"%0A")
