"""TLS to the endpoints of an upstream: what is shown to them, and whether they are verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.fields import CERTIFICATE, ID, PRIVATE_KEY, optional_id

SCHEMA = {
    "type": "object",
    "properties": {
        "client_cert": CERTIFICATE,
        "client_key": PRIVATE_KEY,
        "client_cert_id": ID,
        "verify": {"type": "boolean"},
    },
    "dependencies": {
        "client_cert": {"required": ["client_key"]},
        "client_key": {"required": ["client_cert"]},
        "client_cert_id": {"not": {"required": ["client_cert", "client_key"]}},
    },
}


@dataclass(frozen=True, slots=True, repr=False)
class UpstreamTls:
    """What is shown to endpoints, a certificate of its own or that of an ssl object, and whether theirs is verified.
    Not printed: it has a key."""

    client_cert: str = ""
    client_key: str = ""
    client_cert_id: str | None = None
    verify: bool = False

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read a `tls` object that its schema has passed."""
        cert_id = optional_id(doc, "client_cert_id")
        return cls(doc.get("client_cert", ""), doc.get("client_key", ""), cert_id, doc.get("verify", False))
