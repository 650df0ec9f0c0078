"""request-id: a number for every request."""

from control.model.terms import choice, flag, integer, record, text

NAME = "request-id"
VERSION = 0.1
PRIORITY = 12015

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIGKLMNOPQRSTUVWXYZ0123456789"

SCHEMA = record(
    {
        "header_name": text(default="X-Request-Id"),
        "include_in_response": flag(True),
        "algorithm": choice("uuid", "nanoid", "range_id", "ksuid", "uuidv7", default="uuid"),
        "range_id": record(
            {"length": integer(6, default=16), "char_set": text(6, default=_LETTERS)},
            default={"length": 16, "char_set": _LETTERS},
        ),
    }
)
