"""jwe-decrypt: decrypt a token for the upstream."""

from control.model.parts.checks import Conf, decoded_length, is_reference
from control.model.terms import flag, record, text

NAME = "jwe-decrypt"
VERSION = 0.1
PRIORITY = 2509
TYPE = "auth"

SCHEMA = record(
    {
        "header": text(default="Authorization"),
        "forward_header": text(default="Authorization"),
        "strict": flag(True),
    },
    ["header", "forward_header"],
)
CONSUMER_SCHEMA = record(
    {"key": text(), "secret": text(), "is_base64_encoded": flag()}, ["key", "secret"], encrypt=["key", "secret"]
)


def check_consumer(conf: Conf) -> str | None:
    secret = conf["secret"]
    if is_reference(secret):
        return None
    if conf.get("is_base64_encoded"):
        if decoded_length(secret) != 32:
            return "the secret length after base64 decode should be 32 chars"
    elif len(secret) != 32:
        return "the secret length should be 32 chars"
    return None
