"""Session persistence of one exchange: whom the client is held to, and what holds it from then on."""

from collections.abc import Set

from control.model.sticky import Sticky
from control.model.upstream import Endpoint
from userspace.balancer.picker import NONE, Picker
from userspace.config.compiled import CompiledUpstream
from userspace.http.events import Headers
from userspace.http.request import Request
from userspace.proxy.cookies import change_cookie, change_set_cookie, insert_cookie, take_cookie

TOKEN_BYTES = 22
_DELIMITER = b"~"


class Stick:
    """Base of all modes.

    `state`, for log and metrics: `none` there is nothing to go by; `valid` the client is where it is held; `new` it is
    held from now on; `invalid` what it showed names nobody; `moved` its endpoint is down, drained or failed, and it is
    held by another now; `refused` the same, and the policy is not to move it. `endpoint`: whom it is held to.
    """

    __slots__ = ("_compiled", "_sticky", "endpoint", "state")

    def __init__(self, sticky: Sticky, compiled: CompiledUpstream) -> None:
        self._sticky = sticky
        self._compiled = compiled
        self.endpoint: Endpoint | None = None
        self.state = "none"

    def pick(self, tried: Set[Endpoint], key: str) -> Endpoint | None:
        """Return the endpoint for the next try; None when there is none, or none that the client may be sent to. `key`
        is the picker's."""
        if self.endpoint is not None and not tried:
            return self.endpoint
        if self.state == "refused" or (self.endpoint is not None and self._sticky.when_down == "refuse"):
            return None
        return self._other(tried, key)

    def answer(self, headers: Headers, endpoint: Endpoint) -> Headers:
        """Return the headers of the response of `endpoint`, with what holds the client to it."""
        if self.endpoint is not None and endpoint != self.endpoint:
            self.state = "moved"
        return headers

    def _other(self, tried: Set[Endpoint], key: str) -> Endpoint | None:
        return self._compiled.picker.pick(tried, key)

    def _hold(self, endpoint: Endpoint) -> None:
        """The client shows that it belongs to `endpoint`: hold it there as far as the policies allow."""
        if endpoint in self._compiled.down:
            policy = self._sticky.when_down
        elif endpoint.weight == 0 and any(each.weight for each in self._compiled.endpoints):
            policy = self._sticky.when_drained
        else:
            policy = "keep"
        if policy == "keep":
            self.endpoint = endpoint
        self.state = {"keep": "valid", "repick": "moved", "refuse": "refused"}[policy]


class InsertStick(Stick):
    """A cookie of ours, which the endpoint never sees."""

    __slots__ = ("_name", "_token")

    def __init__(self, sticky: Sticky, compiled: CompiledUpstream, request: Request) -> None:
        super().__init__(sticky, compiled)
        self._name = sticky.cookie.encode("ascii")
        self._token, request.head.headers = take_cookie(request.head.headers, self._name)
        if self._token is not None:
            endpoint = compiled.tokens.endpoint_of(self._token)
            if endpoint is None:
                self.state = "invalid"
            else:
                self._hold(endpoint)

    def answer(self, headers: Headers, endpoint: Endpoint) -> Headers:
        """The cookie is set unless the client holds the current one of `endpoint`."""
        headers = super().answer(headers, endpoint)
        token = self._compiled.tokens.token_of(endpoint)
        if token is None or token == self._token:
            return headers
        if self.state == "none":
            self.state = "new"
        return insert_cookie(headers, self._sticky, self._name, token)


class RewriteStick(Stick):
    """The endpoint's cookie, whose value becomes a token; `prefix` puts the token before the value, and takes it off
    again before the endpoint sees it. A client that moves is held by the new endpoint once that sets the cookie."""

    __slots__ = ("_is_prefix", "_name")

    def __init__(self, sticky: Sticky, compiled: CompiledUpstream, request: Request) -> None:
        super().__init__(sticky, compiled)
        self._name = sticky.cookie.encode("ascii")
        self._is_prefix = sticky.mode == "prefix"
        tokens: list[bytes] = []

        def shown(value: bytes) -> bytes:
            """Note the token; return what the endpoint is to see of the cookie."""
            token, delimiter, rest = value.partition(_DELIMITER) if self._is_prefix else (value, b"", value)
            token = token.strip(b' \t"')
            if self._is_prefix and (not delimiter or len(token) != TOKEN_BYTES):
                return value  # the endpoint's own, from before
            tokens.append(token)
            return rest

        request.head.headers = change_cookie(request.head.headers, self._name, shown)
        if tokens:
            endpoint = compiled.tokens.endpoint_of(tokens[0])
            if endpoint is None:
                self.state = "invalid"
            else:
                self._hold(endpoint)

    def answer(self, headers: Headers, endpoint: Endpoint) -> Headers:
        """Whatever the endpoint sets the cookie to names it."""
        headers = super().answer(headers, endpoint)
        token = self._compiled.tokens.token_of(endpoint)
        if token is None:
            return headers
        prefix = token + _DELIMITER if self._is_prefix else b""
        found, headers = change_set_cookie(headers, self._name, lambda value: prefix + value if prefix else token)
        if found and self.state == "none":
            self.state = "new"
        return headers


class HashStick(Stick):
    """Something that the client shows is hashed: all gateways agree without a word, and nothing is to be set.

    A client of a drained endpoint is where it hashes on the whole ring, which only tells it from new ones where the
    gateway sees to it that those hash elsewhere (`tells_old`). Else a hash has left who is drained.
    """

    __slots__ = ("_ring", "_shown")

    tells_old = False

    def __init__(self, sticky: Sticky, compiled: CompiledUpstream, shown: str | None) -> None:
        super().__init__(sticky, compiled)
        self._shown = shown
        self._ring = self.ring_of(sticky, compiled)
        if shown:
            self._hash(shown)

    @classmethod
    def ring_of(cls, sticky: Sticky, compiled: CompiledUpstream) -> Picker:
        """Where clients are found."""
        return compiled.whole_ring if cls.tells_old and sticky.when_drained != "repick" else compiled.ring

    def _hash(self, shown: str) -> None:
        owner = self._ring.pick(NONE, shown)
        if owner is not None:
            self._hold(owner)

    def _other(self, tried: Set[Endpoint], key: str) -> Endpoint | None:
        """The next on the ring: clients of one endpoint that is down spread, and each stays where it then is."""
        if self._shown:
            down = self._compiled.down
            endpoint = self._compiled.ring.pick(down | tried if down else tried, self._shown)
            if endpoint is not None:
                return endpoint
        return super()._other(tried, key)
