"""SSL: a certificate with its key, for the names that clients ask for or for connections to upstreams."""

from dataclasses import dataclass
from typing import Any, Self

from control.model.errors import ModelError
from control.model.fields import CERTIFICATE, DESC, HOST, ID, LABELS, MAX_INTEGER, PRIVATE_KEY, TIMESTAMP, text_of_id
from control.model.pem import check_pair
from control.model.schema import check_configuration, on_demand

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
        "ocsp_stapling": {
            "type": "object",
            "properties": {
                "enabled": {"type": "boolean"},
                "skip_verify": {"type": "boolean"},
                "cache_ttl": {"type": "integer", "minimum": 60, "maximum": MAX_INTEGER},
            },
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

_check = on_demand(SCHEMA, references=True)
_REFERENCES = ("$secret://", "$env://", "$ENV://")
DEFAULT_DEPTH = 1


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """Clients show a certificate that `ca` vouches for, over at most `depth` certificates in between. Where
    `skip_uris` (expressions) match, none is needed."""

    ca: str
    depth: int = DEFAULT_DEPTH
    skip_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stapling:
    """OCSP responses are stapled; they are fetched again after `cache_ttl` seconds at the latest."""

    cache_ttl: int = 3600
    skip_verify: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Ssl:
    """Certificates for server names, or one that is shown to upstreams (`is_client`). `pairs`: certificate chain and
    private key, in PEM, one for each kind of key. `protocols`: () for the listener's own. Not printed: it has keys."""

    id: str
    pairs: tuple[tuple[str, str], ...]
    is_client: bool = False
    names: tuple[str, ...] = ()
    client: ClientAuth | None = None
    protocols: tuple[str, ...] = ()
    enabled: bool = True
    stapling: Stapling | None = None

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored one whose keys are decrypted. Raises ModelError."""
        check_ssl(doc)
        assert isinstance(doc, dict)
        pairs = ((doc["cert"], doc["key"]), *zip(doc.get("certs", ()), doc.get("keys", ()), strict=True))
        for pem in [pem for pair in pairs for pem in pair]:
            if pem.startswith(_REFERENCES):
                raise ModelError(f"{pem[:64]}: references to secrets are not served by unilb")
        for _, key in pairs:
            if not key.lstrip().startswith("-----BEGIN"):
                raise ModelError("failed to decrypt key: it was encrypted with a key that is not in the keyring")
        client = doc.get("client")
        return cls(
            id=text_of_id(doc["id"]) if id is None else id,
            pairs=pairs,
            is_client=doc.get("type") == "client",
            names=tuple(
                name.lower().removesuffix(".") for name in ([doc["sni"]] if "sni" in doc else doc.get("snis", ()))
            ),
            client=_client_auth(client) if client is not None else None,
            protocols=tuple(doc.get("ssl_protocols", ())),
            enabled=doc.get("status", 1) == 1,
            stapling=_stapling(doc.get("ocsp_stapling", {})),
        )

    def __repr__(self) -> str:
        return f"Ssl({self.id!r}, {self.names})"


def _client_auth(doc: dict[str, Any]) -> ClientAuth:
    return ClientAuth(doc["ca"], int(doc.get("depth", DEFAULT_DEPTH)), tuple(doc.get("skip_mtls_uri_regex", ())))


def _stapling(doc: dict[str, Any]) -> Stapling | None:
    if not doc.get("enabled", False):
        return None
    return Stapling(int(doc.get("cache_ttl", 3600)), doc.get("skip_verify", False))


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
