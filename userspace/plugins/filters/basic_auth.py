"""basic-auth: the consumer is known by name and password (RFC 7617)."""

import binascii
import hmac
import re
from base64 import b64decode
from typing import Final

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.identify import attach, attach_anonymous
from userspace.plugins.outcome import Outcome, Reply

_TOKEN: Final = re.compile(rb"Basic\s(.+)")
_SPACE: Final = re.compile(r"\s+")


class BasicAuth(Filter):
    NAME = "basic-auth"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._challenge = (b"WWW-Authenticate", f'Basic realm="{conf["realm"]}"'.encode())

    def rewrite(self, request: Request) -> Outcome:
        why = self._identify(request)
        if why is not None:
            refusal = Reply.json(401, {"message": why}, self._challenge)
            outcome = attach_anonymous(request, self.env.consumers, self.conf.get("anonymous_consumer"), refusal)
            if outcome is not None:
                return outcome
        if self.conf["hide_credentials"]:
            request.remove_header(b"authorization")
        return None

    def _identify(self, request: Request) -> str | None:
        """Attach the consumer, or say why there is none."""
        sent = request.header(b"authorization")
        if sent is None:
            return "Missing authorization in request"
        pair = credentials(sent)
        if pair is None:
            return "Invalid authorization in request"
        username, password = pair
        known = self.env.consumers.find(self.NAME, username)
        if known is None or not _is_same(str(known.conf.get("password", "")), password):
            return "Invalid user authorization"
        attach(request, known)
        return None


def credentials(field: bytes) -> tuple[str, str] | None:
    """Return (name, password) of an Authorization field. Spaces in either do not count, as in APISIX."""
    token = _TOKEN.search(field)
    if token is None:
        return None
    try:
        encoded = token[1].rstrip(b"=")
        decoded = b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error:
        return None
    name, colon, password = decoded.partition(":")
    return (_SPACE.sub("", name), _SPACE.sub("", password)) if colon else None


def _is_same(password: str, given: str) -> bool:
    one, other = _SPACE.sub("", password), given
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
