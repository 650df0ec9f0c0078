"""The secrets that session tickets of TLS are made with, on every gateway that reads them."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.errors import ModelError
from control.model.schema import check_configuration, on_demand

SECRET_BYTES = 32

_SCHEMA = {
    "type": "object",
    "properties": {
        "current": {"type": "string"},
        "previous": {"type": "string"},
        "since": {"type": "integer", "minimum": 0},
    },
    "required": ["current", "since"],
    "additionalProperties": False,
}
_check = on_demand(_SCHEMA)


@dataclass(frozen=True, slots=True, repr=False)
class TicketKeys:
    """Tickets are made with what `current` gives, `since` that time (Unix seconds); those of `previous` are honoured
    and renewed. Each certificate object has keys of its own, derived from these."""

    current: bytes
    since: int
    previous: bytes | None = None

    @classmethod
    def from_json(cls, doc: object) -> Self:
        """Read `{"current": base64, "previous": base64, "since": seconds}`. Raises ModelError, without the secret."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        previous = _secret(doc, "previous") if "previous" in doc else None
        return cls(_secret(doc, "current"), int(doc["since"]), previous)

    def to_json(self) -> dict[str, Any]:
        """The inverse of `from_json`."""
        doc: dict[str, Any] = {"current": base64.b64encode(self.current).decode(), "since": self.since}
        if self.previous is not None:
            doc["previous"] = base64.b64encode(self.previous).decode()
        return doc

    def rotated(self, secret: bytes, now: int) -> Self:
        """Return what follows: `secret` is current, what was current is previous."""
        return type(self)(secret, now, self.current)


def _secret(doc: Mapping[str, Any], field: str) -> bytes:
    try:
        secret = base64.b64decode(doc[field], validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise ModelError(
            f'invalid configuration: property "{field}" validation failed: expected {SECRET_BYTES} bytes in base64'
        )
    return secret
