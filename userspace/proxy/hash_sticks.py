"""The modes of session persistence that hash, with the cookies that go with it; and which mode a route has."""

import secrets
from ipaddress import ip_network

from control.model.sticky import Sticky
from control.model.upstream import Endpoint
from userspace.balancer.picker import NONE
from userspace.config.compiled import CompiledUpstream
from userspace.http.events import Headers
from userspace.http.request import Request
from userspace.http.variables import text
from userspace.proxy.cookies import cookie_set, insert_cookie, take_cookie, without_set_cookie
from userspace.proxy.stick import HashStick, InsertStick, RewriteStick, Stick

ID_BYTES = 16
DRAWS = 64
COMPANION = b"_UNILB"
"""Behind the name of an application's cookie: ours beside it."""


def stick_of(sticky: Sticky, compiled: CompiledUpstream, request: Request) -> Stick:
    """Read what the client shows in `request`, and strip from it what is nobody's business behind the gateway."""
    mode = sticky.mode
    if mode == "insert":
        return InsertStick(sticky, compiled, request)
    if mode == "rewrite" or mode == "prefix":
        return RewriteStick(sticky, compiled, request)
    if mode == "app_cookie":
        return AppCookieStick(sticky, compiled, request)
    if mode == "session_id":
        return SessionStick(sticky, compiled, request)
    if mode == "header":
        return HashStick(sticky, compiled, text(request.header(sticky.header.lower().encode("ascii"))))
    if mode == "source_ip":
        return HashStick(sticky, compiled, network_of(request.remote_addr, sticky))
    return HashStick(sticky, compiled, request.var("ssl_session_id"))


def network_of(address: str, sticky: Sticky) -> str:
    """Return what of a client's address counts."""
    most, prefix = (128, sticky.ipv6_prefix) if ":" in address else (32, sticky.ipv4_prefix)
    return address if prefix == most else str(ip_network(f"{address}/{prefix}", strict=False))


class SessionStick(HashStick):
    """Each client is given an id in a cookie, and hashed by it. The name is ours: an endpoint can not set it."""

    __slots__ = ("_given", "_name")

    tells_old = True

    def __init__(self, sticky: Sticky, compiled: CompiledUpstream, request: Request) -> None:
        self._name = sticky.cookie.encode("ascii")
        self._given = b""
        shown = request.cookie(sticky.cookie)
        if not shown:
            shown = self._id_of_one_up(sticky, compiled)
            self._given = shown.encode("ascii")
        super().__init__(sticky, compiled, shown)
        if self._given:
            self.state = "new"

    def answer(self, headers: Headers, endpoint: Endpoint) -> Headers:
        headers = super().answer(headers, endpoint)
        if self._given:
            return insert_cookie(headers, self._sticky, self._name, self._given)
        return without_set_cookie(headers, self._name)

    @classmethod
    def _id_of_one_up(cls, sticky: Sticky, compiled: CompiledUpstream) -> str:
        """A new id, whose endpoint is neither down nor drained unless chance is much against it: a new client is held
        by nobody yet."""
        ring = cls.ring_of(sticky, compiled)
        for _ in range(DRAWS):
            drawn = secrets.token_urlsafe(ID_BYTES)
            owner = ring.pick(NONE, drawn)
            if owner is None or (owner not in compiled.down and owner.weight):
                break
        return drawn


class AppCookieStick(HashStick):
    """The application's cookie holds the client. Its endpoint was not chosen by a hash of it, for it did not exist yet:
    where the hash says otherwise, a cookie of ours beside it names the endpoint, and nobody has to remember who set it.

    A client with both goes by ours, one with the application's alone by its hash; ours without the application's counts
    for nothing: the session is over.
    """

    __slots__ = ("_app", "_name", "_token")

    tells_old = True

    def __init__(self, sticky: Sticky, compiled: CompiledUpstream, request: Request) -> None:
        self._app = sticky.cookie.encode("ascii")
        self._name = self._app + COMPANION
        self._token, request.head.headers = take_cookie(request.head.headers, self._name)
        super().__init__(sticky, compiled, request.cookie(sticky.cookie))

    def _hash(self, shown: str) -> None:
        named = self._compiled.tokens.endpoint_of(self._token) if self._token is not None else None
        if named is not None:
            self._hold(named)
        else:
            super()._hash(shown)

    def answer(self, headers: Headers, endpoint: Endpoint) -> Headers:
        headers = super().answer(headers, endpoint)
        fresh = cookie_set(headers, self._app)
        value = self._shown if fresh is None else text(fresh)
        token = self._compiled.tokens.token_of(endpoint)
        if not value:
            return headers
        if self.state == "none":
            self.state = "new"
        is_hashed_here = self._token is None and self._ring.pick(NONE, value) == endpoint
        if token is None or token == self._token or is_hashed_here:
            return headers
        return insert_cookie(headers, self._sticky, self._name, token)
