"""cors: browsers may let pages of other origins read the answers."""

from collections.abc import Sequence
from typing import Final

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.response import Response
from userspace.routing.pattern import Pattern

_ALL_METHODS: Final = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE"
_PREFLIGHT: Final = Reply(200, b"", ())


class Cors(Filter):
    NAME = "cors"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._patterns = _patterns(conf.get("allow_origins_by_regex"))
        self._timing_patterns = _patterns(conf.get("timing_allow_origins_by_regex"))
        self._by_metadata: Sequence[str] | None = conf.get("allow_origins_by_metadata")
        self._varies = conf["allow_origins"] != "*" or self._patterns is not None or self._by_metadata is not None
        methods = conf["allow_methods"]
        self._methods = (_ALL_METHODS if methods == "**" else methods).encode()
        self._max_age = b"%d" % conf["max_age"]

    def rewrite(self, request: Request) -> Outcome:
        request.state.setdefault(self.NAME, request.header(b"origin"))
        return _PREFLIGHT if request.method == "OPTIONS" else None

    def header_filter(self, request: Request, response: Response) -> None:
        sent = request.state[self.NAME] if self.NAME in request.state else request.header(b"origin")
        origin = sent.decode("utf-8", "surrogateescape") if sent is not None else None
        if self._varies:
            response.add_header(b"Vary", b"Origin")
        allowed = self._allowed(origin)
        if allowed is not None:
            self._allow(request, response, allowed)
        timing = self._timing(origin)
        if timing is not None:
            response.set_header(b"Timing-Allow-Origin", _bytes(timing))

    def _allowed(self, origin: str | None) -> str | None:
        """What Access-Control-Allow-Origin says, or None."""
        conf = self.conf
        if self._by_metadata is not None:
            found = self._of_metadata(origin)
            if found is not None:
                return found
        if self._patterns is not None:
            return origin if _matches(self._patterns, origin) else None
        if self._by_metadata is not None and conf["allow_origins"] == "*":
            return None  # the default, which is not what was meant beside a list
        return _among(conf["allow_origins"], origin)

    def _of_metadata(self, origin: str | None) -> str | None:
        known = self.env.metadata(self.NAME).get("allow_origins") or {}
        for key in self._by_metadata or ():
            found = _among(known[key], origin) if key in known else None
            if found is not None:
                return origin if origin is not None else found
        return None

    def _timing(self, origin: str | None) -> str | None:
        if self._timing_patterns is not None:
            return origin if _matches(self._timing_patterns, origin) else None
        listed = self.conf.get("timing_allow_origins")
        return _among(listed, origin) if listed is not None else None

    def _allow(self, request: Request, response: Response, origin: str) -> None:
        conf = self.conf
        response.set_header(b"Access-Control-Allow-Origin", _bytes(origin))
        response.set_header(b"Access-Control-Allow-Methods", self._methods)
        response.set_header(b"Access-Control-Max-Age", self._max_age)
        if conf.get("expose_headers"):
            response.set_header(b"Access-Control-Expose-Headers", _bytes(conf["expose_headers"]))
        if conf["allow_headers"] == "**":
            asked = request.header(b"access-control-request-headers")
            if asked is not None:
                response.set_header(b"Access-Control-Allow-Headers", asked)
            else:
                response.remove_header(b"Access-Control-Allow-Headers")
        else:
            response.set_header(b"Access-Control-Allow-Headers", _bytes(conf["allow_headers"]))
        if conf["allow_credential"]:
            response.set_header(b"Access-Control-Allow-Credentials", b"true")


def _patterns(sources: Sequence[str] | None) -> list[Pattern] | None:
    return [Pattern(source) for source in sources] if sources else None


def _matches(patterns: Sequence[Pattern], origin: str | None) -> bool:
    return origin is not None and any(pattern.found(origin) for pattern in patterns)


def _among(listed: str, origin: str | None) -> str | None:
    """What is answered to `origin` where `listed` are allowed: of several the one that it is, or None."""
    if listed == "**":
        return origin or "*"
    if "," in listed:
        return origin if origin in listed.split(",") else None
    return listed if listed in ("*", origin) else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
