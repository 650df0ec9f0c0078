"""jwt-auth: the consumer is known by a signed token in a header, an argument or a cookie."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.filters.key_auth import without_argument
from userspace.plugins.identify import attach, attach_anonymous
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.tokens import Token, read_token, verifier

_CLAIMS = ("nbf", "exp")
_FAILED = "failed to verify jwt"


class JwtAuth(Filter):
    NAME = "jwt-auth"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._header = conf["header"].lower().encode()
        self._challenge = (b"WWW-Authenticate", f'Bearer realm="{conf["realm"]}"'.encode())
        self._wanted: tuple[str, ...] = tuple(conf.get("claims_to_verify") or ())

    def rewrite(self, request: Request) -> Outcome:
        why = self._identify(request)
        if why is None:
            return None
        refusal = Reply.json(401, {"message": why}, self._challenge)
        return attach_anonymous(request, self.env.consumers, self.conf.get("anonymous_consumer"), refusal)

    def _identify(self, request: Request) -> str | None:
        """Attach the consumer, or say why there is none."""
        text = self._take(request)
        if text is None:
            return "Missing JWT token in request"
        token = read_token(text)
        if token is None:
            return "JWT token invalid"
        key = token.payload.get(self.conf["key_claim_name"])
        if key is None:
            return "missing user key in JWT token"
        known = self.env.consumers.find(self.NAME, key) if isinstance(key, str) else None
        if known is None:
            return "Invalid user key in JWT token"
        if not is_signed(token, known.conf) or not self._is_in_time(token, known.conf):
            return _FAILED
        if self.conf["store_in_ctx"]:
            request.state[self.NAME] = token.payload
        attach(request, known)
        return None

    def _take(self, request: Request) -> str | None:
        """The token as it was sent, or None. It is taken out of what endpoints get, when that is asked for."""
        hides = self.conf["hide_credentials"]
        field = request.header(self._header)
        if field is not None:
            if hides:
                request.remove_header(self._header)
            text = field.decode("utf-8", "surrogateescape")
            return text[7:] if text.startswith(("Bearer ", "bearer ")) else text
        sent = request.arg(self.conf["query"])
        if sent is not None:
            if hides:
                request.set_query(without_argument(request.query, self.conf["query"]))
            return sent
        cookie = request.cookie(self.conf["cookie"])
        if cookie is not None and hides:
            _hide_cookie(request, self.conf["cookie"].encode())
        return cookie

    def _is_in_time(self, token: Token, known: Mapping[str, Any]) -> bool:
        """Whether `nbf` and `exp` say so: both if they are there; those that the configuration names must be."""
        now, grace = int(self.env.now()), known.get("lifetime_grace_period", 0)
        for claim in self._wanted or _CLAIMS:
            at = token.payload.get(claim)
            if at is None and claim not in self._wanted:
                continue
            if isinstance(at, bool) or not isinstance(at, int | float):
                return False
            if not (at < now + grace if claim == "nbf" else at > now - grace):
                return False
        return True


def is_signed(token: Token, known: Mapping[str, Any]) -> bool:
    """Whether a token is signed with what the consumer's configuration says, and by that algorithm: one that could
    choose it could have a public key taken for a secret."""
    algorithm = known.get("algorithm", "HS256")
    if token.algorithm != algorithm:
        return False
    key = known.get("secret" if algorithm.startswith("HS") else "public_key")
    if not isinstance(key, str) or not key:
        return False
    try:
        is_encoded = algorithm.startswith("HS") and known.get("base64_secret")
        raw = b64decode(key + "=" * (-len(key) % 4)) if is_encoded else key.encode()
        return verifier(algorithm, raw)(token.signature, token.signed)
    except (ValueError, binascii.Error):
        return False


def _hide_cookie(request: Request, name: bytes) -> None:
    pairs = [pair.strip() for field in request.header_values(b"cookie") for pair in field.split(b";")]
    kept = [pair for pair in pairs if pair and pair.partition(b"=")[0].strip() != name]
    if kept:
        request.set_header(b"Cookie", b"; ".join(kept))
    else:
        request.remove_header(b"cookie")
