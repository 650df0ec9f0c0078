"""Fields that several plugins share."""

from control.model.fields import HOST, ID
from control.model.terms import Schema, flag, integer, mapping, number, one_of, text

MEBIBYTE = 1 << 20
PHASES = ("rewrite", "access", "header_filter", "body_filter", "log", "before_proxy")
NAMED_HOST: Schema = dict(HOST)
OBJECT_ID: Schema = dict(ID)

ANONYMOUS = text(1)
STATUS = integer(200, default=403)
SAMPLE_RATIO = number(0.00001, 1)
ONE_LINE = one_of(text(), number())
HEADER_NAME = "^[^:]+$"
HEADERS = mapping(ONE_LINE, HEADER_NAME, 1)
URL = r"^[^\/]+:\/\/([\da-zA-Z.-]+|\[[\da-fA-F:]+\])(:\d+)?"

_BYTE = "([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
# An IPv4 or IPv6 address or network.
ADDRESS: Schema = {
    "anyOf": [
        {"title": "IPv4", "type": "string", "format": "ipv4"},
        {
            "title": "IPv4/CIDR",
            "type": "string",
            "pattern": rf"^{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}/([12]?[0-9]|3[0-2])$",
        },
        {"title": "IPv6", "type": "string", "format": "ipv6"},
        {
            "title": "IPv6/CIDR",
            "type": "string",
            "pattern": "^([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?/[0-9]{1,3}$",
        },
    ]
}


def realm(default: str) -> Schema:
    """What WWW-Authenticate names."""
    return text(1, 128, r"^[ -!#-[\]-~]+$", default=default)


def whole_body(mebibytes: int = 64) -> Schema:
    """How many bytes of a body are read at most."""
    return integer(1, default=mebibytes * MEBIBYTE)


def client(timeout: Schema, pool: int = 5) -> Schema:
    """How a plugin calls a service over HTTP; times in ms."""
    return {"timeout": timeout, "ssl_verify": flag(True), **kept_alive(pool)}


def kept_alive(pool: int = 5) -> Schema:
    """Connections that a plugin keeps; time in ms."""
    return {
        "keepalive": flag(True),
        "keepalive_timeout": integer(1000, default=60000),
        "keepalive_pool": integer(1, default=pool),
    }
