"""Certificates and keys in PEM for tests, made once per run."""

import datetime
import functools
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LIFE = datetime.timedelta(days=36500)
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@functools.cache
def pair(name: str) -> tuple[str, str]:
    """A certificate for `name`, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _pem(_builder(name, name, key).sign(key, hashes.SHA256())), _key_pem(key)


@functools.cache
def rsa_pair(name: str, bits: int = 2048) -> tuple[str, str]:
    """The same with an RSA key."""
    key = rsa.generate_private_key(65537, bits)
    return _pem(_builder(name, name, key).sign(key, hashes.SHA256())), _key_pem(key)


@dataclass(frozen=True)
class Authority:
    """One that signs. `chain`: its own certificate, then those above it but for the root."""

    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: str
    chain: str = ""

    def sign(
        self, name: str, days: float = 36500, start: datetime.datetime = START, *extensions: x509.ExtensionType
    ) -> tuple[str, str]:
        """A certificate for `name` with the chain behind it, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, self.name, key, datetime.timedelta(days=days), start)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        for extension in (x509.SubjectAlternativeName([x509.DNSName(name)]), issuer, use):
            builder = builder.add_extension(extension, False)
        for extension in extensions:
            builder = builder.add_extension(extension, False)
        return _pem(builder.sign(self.key, hashes.SHA256())) + self.chain, _key_pem(key)

    def below(self, name: str) -> "Authority":
        """An authority that this one vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = _authority(_builder(name, self.name, key), key).add_extension(issuer, False)
        certificate = _pem(builder.sign(self.key, hashes.SHA256()))
        return Authority(name, key, certificate, certificate + self.chain)


@functools.cache
def authority(name: str = "root") -> Authority:
    """A root."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(name, key, _pem(_authority(_builder(name, name, key), key).sign(key, hashes.SHA256())))


def _authority(builder: x509.CertificateBuilder, key: _Key) -> x509.CertificateBuilder:
    uses = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = x509.KeyUsage(
        **dict.fromkeys(uses, False), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
    )
    name = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(usage, True)
        .add_extension(name, False)
    )


def _builder(
    name: str, issuer: str, key: _Key, life: datetime.timedelta = LIFE, start: datetime.datetime = START
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: _Key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
