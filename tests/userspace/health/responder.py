"""An OCSP responder's answers, and a certificate that names it."""

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from control.model.ssl import Ssl
from tests.control.certificates import START, Authority, authority

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)


def document(url: str, signer: Authority | None = None, **stapling: Any) -> dict[str, Any]:
    signer = signer or authority()
    place = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
    access = x509.AuthorityInformationAccess([place])
    certificate, key = signer.sign("a.example", 36500, START, access)
    chain = certificate + signer.certificate
    return {"snis": ["a.example"], "cert": chain, "key": key, "ocsp_stapling": {"enabled": True, **stapling}}


def site(url: str = "http://127.0.0.1:1/", id: str = "s1", **stapling: Any) -> Ssl:
    return Ssl.from_json({"id": id, **document(url, **stapling)})


def delegate(uses: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING) -> tuple[x509.Certificate, Any]:
    """Someone whom the authority lets sign answers."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "responder")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, authority().name)]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(START)
        .not_valid_after(START + datetime.timedelta(days=36500))
        .add_extension(x509.ExtendedKeyUsage([uses]), False)
    )
    return builder.sign(authority().key, hashes.SHA256()), key


def answer(
    about: Ssl,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    begin: datetime.datetime = NOW - HOUR,
    end: datetime.datetime | None = NOW + HOUR,
    signer: tuple[x509.Certificate, Any] | None = None,
    by: Authority | None = None,
) -> bytes:
    leaf, issuer = x509.load_pem_x509_certificates(about.pairs[0][0].encode())[:2]
    revoked = NOW - HOUR if status is ocsp.OCSPCertStatus.REVOKED else None
    builder = ocsp.OCSPResponseBuilder().add_response(*(leaf, issuer, hashes.SHA1(), status, begin, end, revoked, None))
    if signer is not None:
        shown, key = signer
        builder = builder.certificates([shown]).responder_id(ocsp.OCSPResponderEncoding.HASH, shown)
    elif by is not None:
        shown, key = x509.load_pem_x509_certificate(by.certificate.encode()), by.key
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, shown)
    else:
        key = authority().key
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)
