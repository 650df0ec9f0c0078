import hashlib
import hmac
from base64 import urlsafe_b64encode

import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from userspace.plugins.tokens import MAX_BYTES, read_token, verifier

RSA_KEY = rsa.generate_private_key(65537, 2048)
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}


def coded(value: object) -> str:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_token_is_read_in_three_parts() -> None:
    text = f"{coded({'alg': 'HS256'})}.{coded({'key': 'k'})}.{coded(b'sig')}"
    token = read_token(text)
    assert token is not None and (token.algorithm, token.payload, token.signature) == ("HS256", {"key": "k"}, b"sig")
    assert token.signed == text.rpartition(".")[0].encode()


HEAD, CLAIMS = coded({"alg": "HS256"}), coded({})


@pytest.mark.parametrize(
    "text",
    [
        "", "a.b", "a.b.c", "a.b.c.d", f"{HEAD}.{CLAIMS}", f"{HEAD}.{coded([])}.",
        f"{HEAD}.{coded(b'{')}.", f"{coded({})}.{CLAIMS}.",
        f"{HEAD}.{CLAIMS}.{'A' * MAX_BYTES}",
        f"{coded({'alg': 1})}.{CLAIMS}.",
    ],
)  # fmt: skip
def test_what_is_none_is_not_read(text: str) -> None:
    assert read_token(text) is None


def test_a_signature_that_is_no_base64url_fits_nothing() -> None:
    for signature in ("@@@@", "\u00e9", "+/+/", "A"):
        token = read_token(f"{HEAD}.{CLAIMS}.{signature}")
        assert token is not None and token.signature == b""
        assert not verifier("HS256", b"")(token.signature, token.signed)


@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_a_secret_verifies_what_it_signed(bits: str) -> None:
    signature = hmac.digest(b"secret", b"data", f"sha{bits}")
    verify = verifier(f"HS{bits}", b"secret")
    assert verify(signature, b"data") and not verify(signature, b"other") and not verify(b"", b"data")
    assert hashlib.new(f"sha{bits}").digest_size == len(signature)


@pytest.mark.parametrize("bits", ["256", "384", "512"])
@pytest.mark.parametrize("family", ["RS", "PS"])
def test_an_rsa_key_verifies(family: str, bits: str) -> None:
    digest = HASHES[bits]
    pad = padding.PKCS1v15() if family == "RS" else padding.PSS(padding.MGF1(digest), digest.digest_size)
    signature = RSA_KEY.sign(b"data", pad, digest)
    verify = verifier(family + bits, pem(RSA_KEY))
    assert verify(signature, b"data") and not verify(signature, b"other")


@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_an_elliptic_curve_verifies_two_numbers_of_fixed_length(bits: str) -> None:
    key = ec.generate_private_key(CURVES[bits])
    size = (key.key_size + 7) // 8
    der = key.sign(b"data", ec.ECDSA(HASHES[bits]))
    signature = b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))
    verify = verifier(f"ES{bits}", pem(key))
    assert verify(signature, b"data") and not verify(signature, b"other")
    assert not verify(der, b"data") and not verify(signature[:-1], b"data")


def test_edwards_curves_verify() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()):
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        verify = verifier("EdDSA", public)
        assert verify(key.sign(b"data"), b"data") and not verify(key.sign(b"data"), b"other")


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "none", "RS128", "XX256"])
def test_a_key_that_does_not_fit_the_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(ValueError, match="needs|not served"):
        verifier(algorithm, pem(RSA_KEY))
    with pytest.raises(ValueError):
        verifier(algorithm, b"no key")
