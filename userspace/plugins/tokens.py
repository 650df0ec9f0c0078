"""JSON Web Tokens (RFC 7519) as jwt-auth takes them: read, and their signatures verified (RFC 7518, RFC 8037)."""

import hmac
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

_HMAC: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
MAX_BYTES: Final = 16384
"""Of a token; a longer one is none."""

Verify = Callable[[bytes, bytes], bool]
"""From a signature and what it signs to whether it fits."""


class Token(NamedTuple):
    """`signed` is what `signature` stands for. `algorithm` is what the token says of itself."""

    algorithm: str
    payload: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read_token(text: str) -> Token | None:
    """Return the token that `text` is, not verified; None when it is none."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > MAX_BYTES:
        return None
    try:
        head, claims = (orjson.loads(_decoded(part)) for part in parts[:2])
        signed = text.rpartition(".")[0].encode("ascii")
    except ValueError:
        return None
    if not isinstance(head, dict) or not isinstance(claims, dict) or not isinstance(head.get("alg"), str):
        return None
    try:
        signature = _decoded(parts[2])
    except ValueError:
        signature = b""  # it fits nothing
    return Token(head["alg"], claims, signed, signature)


def _decoded(part: str) -> bytes:
    """Raises ValueError for what is no base64url."""
    if "+" in part or "/" in part:
        raise ValueError("not base64url")
    raw = part.rstrip("=").encode("ascii")
    return b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)


# Keys are of consumers, who may be many: what it costs to parse one is not paid for each request.
@lru_cache(maxsize=4096)
def verifier(algorithm: str, key: bytes) -> Verify:
    """Return what verifies signatures of `algorithm`: with a secret, or a public key or certificate in PEM.

    Raises ValueError for an algorithm that there is not, and for a key that does not fit it.
    """
    digest = _HMAC.get(algorithm)
    if digest is not None:
        return lambda signature, signed: hmac.compare_digest(signature, hmac.digest(key, signed, digest))
    return _asymmetric(algorithm, key)


def _asymmetric(algorithm: str, pem: bytes) -> Verify:
    # Not at the top: it takes 16 MB, and most workers verify nothing of the kind.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    is_certificate = b"BEGIN CERTIFICATE" in pem
    key = load_pem_x509_certificate(pem).public_key() if is_certificate else load_pem_public_key(pem)

    def guarded(check: Callable[[bytes, bytes], None]) -> Verify:
        def verify(signature: bytes, signed: bytes) -> bool:
            try:
                check(signature, signed)
            except InvalidSignature:
                return False
            return True

        return verify

    if algorithm == "EdDSA":
        if not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            raise ValueError("EdDSA needs an Ed25519 or Ed448 key")
        return guarded(key.verify)
    found = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[2:])
    if found is None:
        raise ValueError(f"algorithm {algorithm} is not served")
    digest: hashes.HashAlgorithm = found
    family = algorithm[:2]
    if family in ("RS", "PS"):
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError(f"{algorithm} needs an RSA key")
        public = key
        pad = padding.PKCS1v15() if family == "RS" else padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
        return guarded(lambda signature, signed: public.verify(signature, signed, pad, digest))
    if family != "ES" or not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError(f"{algorithm} needs an elliptic curve key")
    curve, half = key, {"256": 32, "384": 48, "512": 66}[algorithm[2:]]

    def check_pair(signature: bytes, signed: bytes) -> None:
        if len(signature) != 2 * half:
            raise InvalidSignature
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        curve.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))

    return guarded(check_pair)
