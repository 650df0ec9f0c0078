"""A stage with a TLS listener, and clients that speak TLS to it."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any, Self

from tests.control.certificates import authority, pair
from tests.userspace.proxy.stage import PATIENCE, Script, Speaker, Stage
from userspace.proxy.listener import Listener


def site(*names: str, **more: Any) -> dict[str, Any]:
    """An ssl object for these names."""
    certificate, key = pair(names[0])
    return {"snis": list(names), "cert": certificate, "key": key, **more}


def client_context(**options: Any) -> ssl.SSLContext:
    """One that trusts anybody: who answered is seen in the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    for name, value in options.items():
        setattr(context, name, value)
    return context


class TlsStage(Stage):
    """`tls_port` answers with a certificate for a.example, unless `ssls` (id -> document) says else."""

    def __init__(self, folder: Path, *scripts: Script | str, **options: Any) -> None:
        self.folder = folder
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.tls_port = self.listening.getsockname()[1]
        if options.pop("is_proxied", False):
            options["settings"] = {"proxy_protocol_ports": [self.tls_port], "proxy_protocol_from": ["127.0.0.0/8"]}
        self.ssls: dict[str, dict[str, Any]] = options.pop("ssls", {"s1": site("a.example")})
        super().__init__(folder, *scripts, **options)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.put(*((f"ssls/{id}", {"id": id, **document}) for id, document in self.ssls.items()))
        self.tls_listener = Listener(self.shared, [], [self.listening.detach()])
        await self.tls_listener.open()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.tls_listener.close()
        for handshake in list(self.shared.bare):
            handshake.cut()
        await super().__aexit__(*error)

    async def secure(self, name: str | None = "a.example", context: ssl.SSLContext | None = None) -> Speaker:
        """A client whose handshake has succeeded. Raises what the handshake raises."""
        opening = asyncio.open_connection(
            "127.0.0.1", self.tls_port, ssl=context or client_context(), server_hostname=name or ""
        )
        speaker = Speaker(*await asyncio.wait_for(opening, PATIENCE))
        self.clients.append(speaker)
        return speaker

    async def raw(self) -> Speaker:
        """A client that has only connected."""
        speaker = Speaker(*await asyncio.open_connection("127.0.0.1", self.tls_port))
        self.clients.append(speaker)
        return speaker

    @property
    def failures(self) -> dict[str, int]:
        """Failed handshakes by reason."""
        errors = self.shared.counters.errors
        return {key.removeprefix("client tls_"): n for key, n in errors.items() if key.startswith("client tls_")}


def subject(speaker: Speaker) -> str:
    """The common name of the certificate that the server showed."""
    from cryptography import x509

    shown = speaker.writer.get_extra_info("ssl_object").getpeercert(True)
    return x509.load_der_x509_certificate(shown).subject.rfc4514_string().removeprefix("CN=")


def with_certificate(name: str, folder: Path, context: ssl.SSLContext) -> ssl.SSLContext:
    """`context`, which shows a certificate for `name` that `authority` signed."""
    certificate, key = authority().sign(name)
    file = folder / f"{name}.pem"
    file.write_text(certificate + key)
    context.load_cert_chain(file)
    return context
