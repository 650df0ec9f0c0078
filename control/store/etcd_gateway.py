"""One etcd cluster through its JSON gateway: endpoints with fail-over, TLS, token, bounded waits, errors told apart."""

import asyncio
import base64
import io
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from control.store.base import StoreError, StoreUnavailable

# Seconds. A request that takes longer counts as an outage of that endpoint; etcd's own election takes about one.
CONNECT_TIMEOUT = 2.0
REQUEST_TIMEOUT = 5.0
# grpc status codes (https://grpc.io/docs/guides/status-codes/) that the gateway puts into `code`.
_UNAUTHENTICATED = 16
_INVALID_ARGUMENT = 3
_OUT_OF_RANGE = 11
# Failures that came before the first byte of the request went out.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True, repr=False)
class EtcdSettings:
    """`endpoints`: URLs without a path. `ca`, `cert`, `key`: PEM files; `server_name`: whose certificate to expect."""

    endpoints: tuple[str, ...]
    user: str | None = None
    password: str = ""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None


class EtcdRefused(StoreError):
    """etcd answered with an error. `code` is grpc's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"etcd: {message}")
        self.code = code

    @property
    def is_unauthenticated(self) -> bool:
        """The token has expired, or its server has forgotten it in a restart."""
        # 3.4 says "invalid auth token" with code 16, but "user name is empty" with 3 when none was sent.
        return self.code == _UNAUTHENTICATED or (self.code == _INVALID_ARGUMENT and "user name is empty" in str(self))

    @property
    def is_compacted(self) -> bool:
        return self.code == _OUT_OF_RANGE


class Gateway:
    """Sends requests to one endpoint of the cluster, the same until it fails, then to the next."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        self._current = 0
        self._token: str | None = None
        self._authenticating = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def close(self) -> None:
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def endpoint(self) -> str:
        """The endpoint in use."""
        return self._settings.endpoints[self._current]

    def leave(self, endpoint: str) -> None:
        """Use the next endpoint from now on, unless somebody has already left this one."""
        if endpoint == self.endpoint:
            self._current = (self._current + 1) % len(self._settings.endpoints)

    async def call(self, path: str, body: dict[str, Any], is_repeatable: bool = True) -> dict[str, Any]:
        """POST to `path`; try the other endpoints on failure. Raises StoreUnavailable, EtcdRefused.

        A request that is not repeatable goes to another endpoint only when the first cannot have received it.
        """
        errors: list[str] = []
        for _ in self._settings.endpoints:
            endpoint = self.endpoint
            try:
                return await self.call_endpoint(endpoint, path, body)
            except StoreUnavailable as error:
                self.leave(endpoint)
                errors.append(str(error))
                if not is_repeatable and not isinstance(error.__cause__, _NOT_SENT):
                    break
        raise StoreUnavailable("; ".join(errors))

    async def call_endpoint(
        self, endpoint: str, path: str, body: dict[str, Any], seconds: float | None = None
    ) -> dict[str, Any]:
        """POST to `path` of one endpoint, signing in when needed, within `seconds` (None: REQUEST_TIMEOUT).

        Raises StoreUnavailable, EtcdRefused.
        """
        token = await self._sign_in(endpoint, stale=None)
        try:
            return await self._post(endpoint, path, body, token, seconds or REQUEST_TIMEOUT)
        except EtcdRefused as error:
            if not error.is_unauthenticated or self._settings.user is None:
                raise
        token = await self._sign_in(endpoint, stale=token)
        return await self._post(endpoint, path, body, token, seconds or REQUEST_TIMEOUT)

    @asynccontextmanager
    async def stream(self, endpoint: str, path: str, body: dict[str, Any]) -> AsyncIterator[aiohttp.StreamReader]:
        """POST to `path` and give the endless answer. The caller bounds its waits. Raises as `call_endpoint` does."""
        token = await self._sign_in(endpoint, stale=None)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
        try:
            async with self._open().post(endpoint + path, timeout=timeout, **self._request(body, token)) as response:
                if response.status != 200:
                    raise _refusal(response.status, await response.read())
                yield response.content
        except (aiohttp.ClientError, OSError) as error:
            raise StoreUnavailable(f"{endpoint}: {_text(error)}") from error

    def forget_token(self) -> None:
        """Sign in again before the next request."""
        self._token = None

    async def _post(
        self, endpoint: str, path: str, body: dict[str, Any], token: str | None, seconds: float
    ) -> dict[str, Any]:
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_TIMEOUT, seconds))
        try:
            async with self._open().post(endpoint + path, timeout=limits, **self._request(body, token)) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"{endpoint}: {_text(error)}") from error
        if response.status != 200:
            raise _refusal(response.status, answer)
        return _parse(answer)

    async def _sign_in(self, endpoint: str, stale: str | None) -> str | None:
        """A token that is not `stale`; None when no user is set. One sign-in at a time serves all that wait for it."""
        if self._settings.user is None:
            return None
        if self._token is not None and self._token != stale:
            return self._token
        async with self._authenticating:
            if self._token is None or self._token == stale:
                body = {"name": self._settings.user, "password": self._settings.password}
                answer = await self._post(endpoint, "/v3/auth/authenticate", body, None, REQUEST_TIMEOUT)
                self._token = answer["token"]
            return self._token

    def _open(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=256, ssl=_tls_context(self._settings), socket_factory=_kept_alive_socket
                )
            )
        return self._session

    def _request(self, body: dict[str, Any], token: str | None) -> dict[str, Any]:
        # A file, not bytes: aiohttp sends it in pieces.
        request: dict[str, Any] = {"data": io.BytesIO(orjson.dumps(body))}
        if token is not None:
            request["headers"] = {"Authorization": token}
        if self._settings.server_name is not None:
            request["server_hostname"] = self._settings.server_name
        return request


def encode(text: str | bytes) -> str:
    """Bytes as the gateway takes them: base64."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def revision_of(answer: dict[str, Any]) -> int:
    """The store's revision when it answered."""
    return int(answer["header"]["revision"])


def _kept_alive_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices within about 5 s that the other machine, or the way to it, is gone."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 2), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3)):
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000)
    return made


def _tls_context(settings: EtcdSettings) -> ssl.SSLContext | bool:
    if not settings.endpoints[0].startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context


def _parse(answer: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise StoreUnavailable(f"etcd: not JSON: {answer[:100]!r}") from error
    if not isinstance(parsed, dict):
        raise StoreUnavailable(f"etcd: not an object: {answer[:100]!r}")
    return parsed


def _refusal(status: int, answer: bytes) -> StoreError:
    """3.4 answers {"error", "code"}, 3.5 {"error", "code", "message"}. No leader, too many requests and the like are
    outages; the rest is a refusal."""
    try:
        body = orjson.loads(answer)
        code, message = int(body.get("code", 0)), str(body.get("message") or body.get("error"))
    except (orjson.JSONDecodeError, AttributeError, ValueError):
        return StoreUnavailable(f"etcd: HTTP {status}: {answer[:200]!r}")
    # DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE; 0, 2: the gateway lost its server.
    if code in (0, 2, 4, 8, 14):
        return StoreUnavailable(f"etcd: {message}")
    return EtcdRefused(code, message)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
