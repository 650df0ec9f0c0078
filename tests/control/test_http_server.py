"""TLS of the Admin API: versions, client certificates, and what is wrong with the files."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from control import http_server
from control.http_server import Tls
from control.server import ControlSettings
from control.store.open import open_store
from tests.control.test_server import SETTINGS, Embedded, parse, settings_from


def made(folder: Path, name: str) -> tuple[str, str]:
    """A certificate that signs itself, for 127.0.0.1: its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(cert_file), str(key_file)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[str]:
    """The address of an Admin API that asks for client certificates."""
    cert, key = made(tmp_path, "server")
    authority, _ = made(tmp_path, "client")
    store = open_store(f"sqlite://{tmp_path}/store.db")
    control = Embedded(store, ControlSettings(SETTINGS.keys, ("127.0.0.1", 0), tls=Tls(cert, key, authority)))
    yield (await control.url()).replace("http:", "https:")
    await control.stop()
    await store.close()


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "server.crt"))


async def test_a_client_with_a_certificate_is_served_over_tls(guarded: str, tmp_path: Path) -> None:
    context = trusting(tmp_path)
    context.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    async with aiohttp.ClientSession() as session, session.head(f"{guarded}/apisix/admin", ssl=context) as answer:
        assert answer.status == 200


async def test_a_client_without_a_certificate_is_not(guarded: str, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.head(f"{guarded}/apisix/admin", ssl=trusting(tmp_path))


async def test_an_old_version_of_tls_is_refused(guarded: str, tmp_path: Path) -> None:
    context = Tls(*(str(tmp_path / f"server.{end}") for end in ("crt", "key"))).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_a_handshake_that_does_not_begin_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT", 0.3)
    cert, key = made(tmp_path, "server")
    store = open_store(f"sqlite://{tmp_path}/store.db")
    control = Embedded(store, ControlSettings(SETTINGS.keys, ("127.0.0.1", 0), tls=Tls(cert, key)))
    host, port = (await control.url()).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await control.stop()
    await store.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tls-cert", "a.crt"), "--tls-cert and --tls-key go together"),
        (("--tls-client-ca", "a.crt"), "--tls-client-ca needs"),
        (("--tls-cert", "/nowhere.crt", "--tls-key", "/nowhere.key"), "TLS certificate /nowhere.crt"),
        (("--rate-limit", "-1"), "rate limit: expected 0 or a number"),
    ],
)
def test_a_wrong_option_is_named(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings_from(parse("--store", "sqlite:x", "--admin-key", "the-admin-key", *words))
