"""OCSP (RFC 6960): what to ask an authority about a certificate, and whether its answer may be stapled. No I/O."""

from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from control.model.ssl import Ssl

MAX_BYTES = 65536  # of an answer; usual ones have 0.5 to 2 KiB


class OcspError(ValueError):
    """There is nothing to staple; `str(error)` says why."""


class Question(NamedTuple):
    """`request` (DER) goes to `url` by POST; the answer is about `serial` and signed on behalf of `issuer`."""

    url: str
    request: bytes
    serial: int
    issuer: x509.Certificate


def question_about(site: Ssl) -> Question:
    """Return what to ask about the first certificate of an ssl object. Raises OcspError."""
    try:
        chain = x509.load_pem_x509_certificates(site.pairs[0][0].encode())
        if len(chain) < 2:
            raise OcspError("the certificate of the issuer is not in the chain")
        access = chain[0].extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
        assert isinstance(access, x509.AuthorityInformationAccess)
        places = [each.access_location for each in access if each.access_method == AuthorityInformationAccessOID.OCSP]
        urls = [place.value for place in places if isinstance(place, x509.UniformResourceIdentifier)]
        url = next((url for url in urls if url.startswith("http://")), None)
        if url is None:
            raise OcspError("the certificate names no responder that is reached by http")
        request = ocsp.OCSPRequestBuilder().add_certificate(chain[0], chain[1], SHA1()).build()
    except x509.ExtensionNotFound:
        raise OcspError("the certificate names no responder") from None
    except ValueError as error:
        raise OcspError(str(error)) from None
    return Question(url, request.public_bytes(Encoding.DER), chain[0].serial_number, chain[1])


def good_until(question: Question, answer: bytes, now: datetime, verify: bool = True) -> datetime:
    """Return until when `answer` may be stapled. Raises OcspError for one that is not good, not current, about another
    certificate or, with `verify`, not signed by the issuer or by whom it lets sign."""
    try:
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise OcspError(f"the responder says {response.response_status.name}")
        if response.serial_number != question.serial:
            raise OcspError("the answer is about another certificate")
        if response.certificate_status is not ocsp.OCSPCertStatus.GOOD:
            raise OcspError(f"the certificate is {response.certificate_status.name}")
        until = response.next_update_utc
        if until is None or until <= now or response.this_update_utc > now:
            raise OcspError("the answer is not current")
        if verify:
            _check_signature(response, question.issuer, now)
    except OcspError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OcspError(f"no OCSP response: {error}") from None
    return until


def _check_signature(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    try:
        signer = issuer
        for shown in response.certificates:
            if shown != issuer:
                shown.verify_directly_issued_by(issuer)
                uses = shown.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
                assert isinstance(uses, x509.ExtendedKeyUsage)
                if ExtendedKeyUsageOID.OCSP_SIGNING not in uses:
                    raise OcspError("the signer's certificate is not one for OCSP")
                if not shown.not_valid_before_utc <= now <= shown.not_valid_after_utc:
                    raise OcspError("the signer's certificate is not current")
                signer = shown
            break
        key, algorithm = signer.public_key(), response.signature_hash_algorithm
        signature, signed = response.signature, response.tbs_response_bytes
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        else:
            raise OcspError("the answer is signed with a kind of key that is not known here")
    except (InvalidSignature, x509.ExtensionNotFound):
        raise OcspError("the answer is not signed by the issuer, nor by whom it lets sign") from None


def now_utc() -> datetime:
    """The clock that answers are judged by."""
    return datetime.now(UTC)
