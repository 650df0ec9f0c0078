"""Certificates and private keys in PEM: do they parse, and do they belong together? Used by the Admin API only."""

from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from control.model.errors import ModelError

_BEGIN = "-----BEGIN"
# A value that starts so is fetched by gateways; what it will be is not known here.
_REFERENCES = ("$secret://", "$env://", "$ENV://")


def check_pair(cert: str, key: str | None) -> None:
    """Raise ModelError, in APISIX's words, unless `cert` holds certificates and `key` is the first one's.

    A key that is not PEM is one that was read from the store, encrypted: it was checked when it came.
    """
    if cert.startswith(_REFERENCES):
        return
    try:
        first = x509.load_pem_x509_certificates(cert.encode())[0]
    except (ValueError, UnsupportedAlgorithm):
        raise ModelError("failed to parse cert: PEM_read_bio_X509_AUX() failed") from None
    if key is None or key.startswith(_REFERENCES) or not key.lstrip().startswith(_BEGIN):
        if key is not None and not _may_be_encrypted(key):
            raise ModelError("failed to parse key: PEM_read_bio_PrivateKey() failed")
        return
    try:
        private = load_pem_private_key(key.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ModelError("failed to parse key: PEM_read_bio_PrivateKey() failed") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        belong = private.public_key().public_bytes(*form) == first.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        belong = False
    if not belong:
        raise ModelError("failed to parse key: it is not the certificate's")


def check_client_tls(upstream: Mapping[str, Any]) -> None:
    """Raise ModelError when an upstream, which its schema has passed, has a client certificate that is none."""
    tls = upstream.get("tls", {})
    if "client_cert" in tls:
        check_pair(tls["client_cert"], tls["client_key"])


def _may_be_encrypted(key: str) -> bool:
    return key.startswith(_REFERENCES) or (len(key) % 4 == 0 and all(c.isalnum() or c in "+/=" for c in key))
