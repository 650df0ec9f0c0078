"""request-id: every request has a number, made here where it brings none."""

import os
import secrets
import uuid
from collections.abc import Callable
from typing import Final

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome
from userspace.plugins.response import Response

_NANO: Final = "_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KSUID_EPOCH: Final = 1_400_000_000


class RequestId(Filter):
    NAME = "request-id"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._name: bytes = conf["header_name"].encode()
        self._lower = self._name.lower()
        self._note = f"request-id {conf['header_name']}"
        self._make = _maker(conf, env.now)

    def rewrite(self, request: Request) -> Outcome:
        value = request.header(self._lower)
        if value is None:
            value = self._make().encode()
            request.set_header(self._name, value)
        request.state.setdefault(self.NAME, value.decode("utf-8", "surrogateescape"))
        if self.conf["include_in_response"]:
            request.state[self._note] = value
        return None

    def header_filter(self, request: Request, response: Response) -> None:
        value = request.state.get(self._note)
        if value is not None and response.header(self._lower) is None:
            response.set_header(self._name, value)


def _maker(conf: Conf, now: Callable[[], float]) -> Callable[[], str]:
    kind = conf["algorithm"]
    if kind == "nanoid":
        return lambda: "".join([_NANO[byte & 63] for byte in os.urandom(21)])
    if kind == "range_id":
        letters: str = conf["range_id"]["char_set"]
        length: int = conf["range_id"]["length"]
        return lambda: "".join([secrets.choice(letters) for _ in range(length)])
    if kind == "ksuid":
        return lambda: ksuid(now(), os.urandom(16))
    if kind == "uuidv7":
        return lambda: uuid7(now(), os.urandom(10))
    return lambda: str(uuid.uuid4())


def ksuid(seconds: float, noise: bytes) -> str:
    """Return a KSUID: 4 bytes of time and 16 of `noise` as 27 base-62 digits."""
    number = int.from_bytes((int(seconds) - _KSUID_EPOCH).to_bytes(4, "big") + noise, "big")
    digits = []
    for _ in range(27):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def uuid7(seconds: float, noise: bytes) -> str:
    """Return a UUID version 7 (RFC 9562 section 5.7): 48 bits of milliseconds, the rest of 10 bytes of `noise`."""
    number = int(seconds * 1000) << 80 | int.from_bytes(noise, "big")
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(3 << 62) | 2 << 62
    return str(uuid.UUID(int=number))
