"""The HTTP server below the Admin API: uvicorn with guarded connections, over TLS if asked for."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from control.admin.connections import HEAD_TIMEOUT, MAX_CONNECTIONS, Connections, GuardedProtocol

# Seconds.
GRACE = 5
KEEP_ALIVE = 60


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: `cert` with its chain, its `key`, and `client_ca`, the authority of clients' certificates."""

    cert: str
    key: str
    client_ca: str | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later. Raises ValueError, which names the file, for one that cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise ValueError(f"TLS certificate {self.cert}, key {self.key}: {_text(error)}") from None
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as error:
                raise ValueError(f"TLS client authority {self.client_ca}: {_text(error)}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Server(uvicorn.Server):
    """One listener's server. Leaves signals to whoever owns the loop."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                # h11 limits the size of a request head; httptools does not.
                http=GuardedProtocol,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                # Below error it writes a line for whatever a client gets wrong.
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                # Those that have just lost their place still count there for a moment.
                limit_concurrency=2 * MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self.places = Connections()
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own, which would leave a TLS handshake 60 seconds."""
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._protocol, sock=listener, ssl=self._tls, ssl_handshake_timeout=HEAD_TIMEOUT if self._tls else None
            )
            for listener in sockets or ()
        ]
        self.started = True

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(self.places, config=self.config, server_state=self.server_state, app_state={})

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _text(error: OSError) -> str:
    return str(error.strerror or error)
