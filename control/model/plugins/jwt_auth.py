"""jwt-auth: who asks is known by a signed token."""

from control.model.parts.checks import Conf, is_base64
from control.model.parts.fields import ANONYMOUS, realm
from control.model.terms import among, choice, flag, integer, items, one_of, record, text

NAME = "jwt-auth"
VERSION = 0.1
PRIORITY = 2510
TYPE = "auth"

_SECRET = ("HS256", "HS384", "HS512")
_SIGNED = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA")

SCHEMA = record(
    {
        "header": text(default="authorization"),
        "query": text(default="jwt"),
        "cookie": text(default="jwt"),
        "hide_credentials": flag(False),
        "key_claim_name": text(1, default="key"),
        "store_in_ctx": flag(False),
        "realm": realm("jwt"),
        "anonymous_consumer": ANONYMOUS,
        "claims_to_verify": items(choice("exp", "nbf"), unique=True),
    }
)
CONSUMER_SCHEMA = record(
    {
        "key": text(1),
        "secret": text(1),
        "algorithm": choice(*_SECRET, *_SIGNED, default="HS256"),
        "exp": integer(1, default=86400),
        "base64_secret": flag(False),
        "lifetime_grace_period": integer(0, default=0),
    },
    ["key"],
    encrypt=["secret"],
    dependencies={
        "algorithm": one_of(
            {"properties": {"algorithm": among(*_SECRET, default="HS256")}},
            {
                "properties": {"public_key": text(1), "algorithm": among(*_SIGNED)},
                "required": ["public_key"],
            },
        )
    },
)


def check_consumer(conf: Conf) -> str | None:
    if conf.get("base64_secret") and "secret" in conf and not is_base64(conf["secret"]):
        return "base64_secret required but the secret is not in base64 format"
    return None
