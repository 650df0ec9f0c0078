"""SSL: a certificate with its key, for the names that clients ask for or for connections to upstreams."""

from typing import Any

from control.model.errors import ModelError
from control.model.fields import CERTIFICATE, DESC, HOST, ID, LABELS, MAX_INTEGER, PRIVATE_KEY, TIMESTAMP
from control.model.pem import check_pair
from control.model.schema import check_configuration, compile_schema

# Never shown, whoever asks.
HIDDEN = ("key", "keys")

SCHEMA = {
    "type": "object",
    "properties": {
        "id": ID,
        "type": {"type": "string", "default": "server", "enum": ["server", "client"]},
        "cert": CERTIFICATE,
        "key": PRIVATE_KEY,
        "sni": HOST,
        "snis": {"type": "array", "items": HOST, "minItems": 1},
        "certs": {"type": "array", "items": CERTIFICATE},
        "keys": {"type": "array", "items": PRIVATE_KEY},
        "client": {
            "type": "object",
            "properties": {
                "ca": CERTIFICATE,
                "depth": {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
                "skip_mtls_uri_regex": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "uniqueItems": True,
                },
            },
            "required": ["ca"],
        },
        "status": {"type": "integer", "enum": [1, 0]},
        "ssl_protocols": {
            "type": "array",
            "items": {"enum": ["TLSv1.1", "TLSv1.2", "TLSv1.3"]},
            "maxItems": 3,
            "uniqueItems": True,
        },
        "desc": DESC,
        "labels": LABELS,
        "create_time": TIMESTAMP,
        "update_time": TIMESTAMP,
    },
    "if": {"properties": {"type": {"enum": ["server"]}}},
    "then": {"oneOf": [{"required": ["sni", "key", "cert"]}, {"required": ["snis", "key", "cert"]}]},
    "else": {"required": ["key", "cert"]},
    "additionalProperties": False,
}

_check = compile_schema(SCHEMA, references=True)


def check_ssl(doc: object) -> None:
    """Raise ModelError unless `doc` is one whose certificates and keys parse and belong together."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    check_pair(doc["cert"], doc["key"])
    if doc.get("type") == "client":
        return
    certs, keys = doc.get("certs", []), doc.get("keys", [])
    if len(certs) != len(keys):
        raise ModelError("mismatched number of certs and keys")
    for number, (cert, key) in enumerate(zip(certs, keys, strict=True), 1):
        try:
            check_pair(cert, key)
        except ModelError as problem:
            raise ModelError(f"failed to handle cert-key pair[{number}]: {problem}") from None
    if "client" in doc:
        try:
            check_pair(doc["client"]["ca"], None)
        except ModelError as problem:
            raise ModelError(f"failed to validate client_cert: {problem}") from None


def hide(doc: dict[str, Any]) -> dict[str, Any]:
    """What GET shows of a stored one: everything but its keys."""
    return {name: value for name, value in doc.items() if name not in HIDDEN}
