"""csrf: what writes has to repeat in a header the token that we set as a cookie, which other sites cannot read."""

import binascii
import hmac
from base64 import b64decode, b64encode
from email.utils import formatdate
from hashlib import sha256
from typing import Any, Final

import orjson

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome, Reply
from userspace.plugins.response import Response

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))


class Csrf(Filter):
    NAME = "csrf"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._header = conf["name"].lower().encode()

    def access(self, request: Request) -> Outcome:
        if request.method in SAFE:
            return None
        sent = request.header(self._header)
        if not sent:
            return _refused("no csrf token in headers")
        cookie = request.cookie(self.conf["name"])
        if cookie is None:
            return _refused("no csrf cookie")
        if sent.decode("utf-8", "surrogateescape") != cookie:
            return _refused("csrf token mismatch")
        if not self._is_ours(cookie):
            return _refused("Failed to verify the csrf token signature")
        return None

    def header_filter(self, request: Request, response: Response) -> None:
        now = int(self.env.now())
        draw = f"{self.env.draw():.14g}"
        # As APISIX writes it: gateways of both kinds take each other's.
        token = b'{"random":%b,"sign":"%b","expires":%d}' % (draw.encode(), self._sign(draw, now).encode(), now)
        until = formatdate(now + self.conf["expires"], usegmt=True)
        cookie = f"{self.conf['name']}={b64encode(token).decode()};path=/;SameSite=Lax;Expires={until}"
        response.add_header(b"Set-Cookie", cookie.encode())

    def _sign(self, draw: str, made_at: Any) -> str:
        return sha256(f"{{expires:{made_at},random:{draw},key:{self.conf['key']}}}".encode()).hexdigest()

    def _is_ours(self, token: str) -> bool:
        try:
            fields = orjson.loads(b64decode(token.encode("ascii"), validate=True))
            draw, made_at, sign = (fields[name] for name in ("random", "expires", "sign"))
        except (binascii.Error, ValueError, TypeError, KeyError):
            return False
        if not isinstance(sign, str) or isinstance(made_at, bool) or not isinstance(made_at, int | float):
            return False
        if self.conf["expires"] > 0 and self.env.now() - made_at > self.conf["expires"]:
            return False
        expected = self._sign(_number(draw), _number(made_at))
        return hmac.compare_digest(sign.encode("utf-8", "replace"), expected.encode())


def _number(value: Any) -> str:
    return f"{value:.14g}" if isinstance(value, int | float) else str(value)


def _refused(why: str) -> Reply:
    return Reply.json(401, {"error_msg": why})
