"""One probe of one target: connect, shake hands, ask, read the status line. What it met is an Outcome and a reason."""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from control.model.health import Active
from userspace.health.state import Outcome, outcome_of
from userspace.health.targets import Target
from userspace.proxy.tls_contexts import ContextError

MAX_STATUS_LINE: Final = 8192  # bytes; an endpoint that sends more without a line end answers no HTTP
_STATUS = re.compile(rb"HTTP/\d+\.\d+\s+(\d+)")
_BREAKS: Final = str.maketrans("", "", "\r\n\0")


Secured = Callable[[Target], ssl.SSLContext]
"""What a target is asked by TLS with. Raises ContextError."""


class Result(NamedTuple):
    """`outcome`: None for a status that means nothing. `why`: for people, a few words."""

    outcome: Outcome | None
    why: str


async def probe(target: Target, secured: Secured) -> Result:
    """Probe once, within the time-out of the check. Never raises but when cancelled."""
    active = target.checks.active
    step = "connect"
    try:
        async with asyncio.timeout(active.timeout):
            connected = await _connect(target)
            if active.type == "tcp":
                connected.close()
                return Result(Outcome.SUCCESS, "connected")
            step = "handshake" if active.type == "https" else "request"
            asked = await _ask(target, connected, secured)
            step = "request"
            try:
                status = await asked.status
            finally:
                asked.close()
    except TimeoutError:
        # A handshake that takes too long is a failure of the connection, as in APISIX.
        outcome = Outcome.TCP if step == "handshake" else Outcome.TIMEOUT
        return Result(outcome, f"{step}: timed out")
    except OSError as error:
        return Result(Outcome.TCP, f"{step}: {_words(error)}")
    except (ValueError, ContextError) as error:  # a server name that TLS can not ask for; a certificate that is none
        return Result(Outcome.TCP, f"{step}: {error}")
    if status == 0:
        return Result(Outcome.HTTP, "request: no HTTP status line")
    return Result(outcome_of(active.limits, status), f"status {status}")


async def _connect(target: Target) -> socket.socket:
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    connected.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connected, (target.host, target.port))
    except BaseException:
        connected.close()
        raise
    return connected


async def _ask(target: Target, connected: socket.socket, secured: Secured) -> "_Answer":
    loop = asyncio.get_running_loop()
    answer = _Answer(request_of(target), loop.create_future())
    try:
        tls = secured(target) if target.checks.active.type == "https" else None
        await loop.create_connection(
            lambda: answer, sock=connected, ssl=tls, server_hostname=target.server if tls is not None else None
        )
    except BaseException:
        connected.close()
        raise
    return answer


def request_of(target: Target) -> bytes:
    """The request as APISIX sends it: no field but what is configured, Host, Connection. No value breaks its line."""
    active: Active = target.checks.active
    host = f"[{target.server}]" if ":" in target.server and not target.server.startswith("[") else target.server
    lines = [f"{active.method} {active.path} HTTP/1.1", "Connection: close", *active.headers, f"Host: {host}"]
    body = active.body.encode("utf-8", "surrogateescape")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    head = "".join(f"{line.translate(_BREAKS)}\r\n" for line in lines) + "\r\n"
    return head.encode("utf-8", "surrogateescape") + body


class _Answer(asyncio.Protocol):
    """Sends the request; `status` is the answer's status, 0 for what is no HTTP, or the failure of the connection."""

    def __init__(self, request: bytes, status: "asyncio.Future[int]") -> None:
        self.status = status
        self._request = request
        self._line = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.status.done():
            return
        self._line += data
        line, end, _ = self._line.partition(b"\n")
        if end or len(self._line) > MAX_STATUS_LINE:
            found = _STATUS.match(line) if end else None
            self.status.set_result(int(found[1][:4]) if found is not None else 0)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.status.done():
            self.status.set_exception(exc if isinstance(exc, OSError) else ConnectionError("closed without an answer"))
            self.status.exception()  # whoever asked may have been cancelled: nobody need be told then

    def close(self) -> None:
        """Let go of the endpoint, whatever it still sends."""
        if self._transport is not None:
            self._transport.abort()


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
