"""hmac-auth: who asks is known by a signature of the request."""

from control.model.parts.fields import ANONYMOUS, realm, whole_body
from control.model.terms import choice, flag, integer, items, record, text

NAME = "hmac-auth"
VERSION = 0.1
PRIORITY = 2530
TYPE = "auth"

_ALGORITHMS = ("hmac-sha1", "hmac-sha256", "hmac-sha512")

SCHEMA = record(
    {
        "allowed_algorithms": items(choice(*_ALGORITHMS), 1, default=list(_ALGORITHMS)),
        "clock_skew": integer(1, default=300),
        "signed_headers": items(text(1, 50), default=["date"]),
        "validate_request_body": flag(False)
        | {"description": "A boolean value telling the plugin to enable body validation"},
        "max_req_body_size": whole_body(),
        "hide_credentials": flag(False),
        "anonymous_consumer": ANONYMOUS,
        "realm": realm("hmac"),
    },
    title="work with route or service object",
)
CONSUMER_SCHEMA = record(
    {"key_id": text(1, 256), "secret_key": text(1, 256)},
    ["key_id", "secret_key"],
    encrypt=["secret_key"],
    title="work with consumer object",
)
