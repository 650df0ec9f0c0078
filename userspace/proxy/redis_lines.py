"""Connections to Redis: one server, the master that sentinels name, a node of a cluster. The only user of `redis`,
which is imported by the first worker that needs it, in a thread (`redis_counts.py`).

A line carries a batch of questions at a time, in one round trip, two where the server has forgotten a script.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from redis.asyncio import Connection, Sentinel, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)
from redis.maint_notifications import MaintNotificationsConfig

from userspace.config.names import is_name
from userspace.plugins.counting import SENTINEL, Address, Servers
from userspace.proxy.naming import Naming
from userspace.proxy.redis_cluster import SLOTS, Range
from userspace.proxy.redis_question import Lost, Question, Sent

MAX_RANGES: Final = SLOTS
_QUIET: Final = MaintNotificationsConfig(enabled=False)
_LOST: Final = (ConnectionError, TimeoutError, ClusterDownError, BusyLoadingError)
"""Errors of servers that may know better by and by, or that others have replaced."""


class Line:
    """One connection, authenticated. `is_stale`: somebody else should be asked from now on."""

    is_stale = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Return an answer per question: a list, or an exception; Lost where somebody else, or later, might answer."""
        answers = await self._round([(question.is_let_in, question.by_name) for question in questions])
        forgotten = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if forgotten:
            again = await self._round([(questions[at].is_let_in, questions[at].by_text) for at in forgotten])
            for at, answer in zip(forgotten, again, strict=True):
                answers[at] = answer
        self.is_stale = any(isinstance(answer, Lost | ReadOnlyError) for answer in answers)
        return answers

    async def slots(self) -> list[Range]:
        """Return which node of its cluster has which slots. Raises RedisError, ValueError."""
        connection = self._connection
        await connection.send_command("CLUSTER", "SLOTS")
        return [_range(entry) for entry in islice(await connection.read_response(), MAX_RANGES)]

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _round(self, commands: Sequence[tuple[bool, tuple[Any, ...]]]) -> list[Any]:
        """Have commands done, those marked as let in, and return what came of each."""
        connection = self._connection
        sent = [part for is_let_in, command in commands for part in ([("ASKING",)] if is_let_in else []) + [command]]
        answers: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(sent), check_health=False)
            for is_let_in, _ in commands:
                if is_let_in:
                    await self._answer()
                answers.append(await self._answer())
        except _LOST as error:
            answers.append(_named(error))
        return answers + answers[-1:] * (len(commands) - len(answers))

    async def _answer(self) -> Any:
        """Return an answer, or the error that the server says; raises where there will be no more of them."""
        try:
            return await self._connection.read_response()
        except RedisError as error:
            if not self._connection.is_connected:
                raise
            return _named(error)


async def opened(servers: Servers, naming: Naming, authorities: str) -> Line:
    """Return a line to a server, or to the master that sentinels name. `authorities`: of who vouches for them; "": the
    system's. Raises RedisError, OSError, LbError."""
    (host, port) = servers.addresses[0]
    if servers.policy == SENTINEL:
        host, port = await _master(servers, naming)
    address = await naming.address_of(host) if is_name(host) else host
    connection = _connection(servers, host, address, port, authorities)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return Line(connection)


def _range(entry: Any) -> Range:
    """[first, last, [host, port, ...], ...] of CLUSTER SLOTS. "" or nothing as the host: whom we asked."""
    first, last, (host, port, *_), *_ = entry
    return int(first), int(last), ((host or b"").decode(), int(port))


def _named(error: RedisError) -> Exception:
    """The error as those above know it."""
    if isinstance(error, AskError):
        return Sent((error.host, error.port), not isinstance(error, MovedError))
    return Lost(f"{type(error).__name__}: {error}") if isinstance(error, _LOST) else error


def _connection(servers: Servers, host: str, address: str, port: int, authorities: str) -> Connection:
    common: dict[str, Any] = {
        "host": address,
        "port": port,
        "db": servers.database,
        "username": servers.username,
        "password": servers.password,
        "socket_timeout": None,  # whoever asks has time-outs for the whole of it
        "socket_connect_timeout": servers.connect_timeout,
        "protocol": 2,
        "driver_info": None,
        "maint_notifications_config": _QUIET,
    }
    if not servers.tls:
        return Connection(**common)
    return _NamedConnection(
        host,
        ssl_cert_reqs="required" if servers.verify else "none",
        ssl_check_hostname=servers.verify,
        ssl_ca_certs=authorities or None,
        **common,
    )


class _NamedConnection(SSLConnection):
    """Asks for, and verifies, the name that the server was configured by; what is connected to is its address."""

    def __init__(self, name: str, **rest: Any) -> None:
        self._name = name
        super().__init__(**rest)

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self._name}


async def _master(servers: Servers, naming: Naming) -> Address:
    sentinels = [(await naming.address_of(host) if is_name(host) else host, port) for host, port in servers.addresses]
    client = Sentinel(  # type: ignore[no-untyped-call]
        sentinels,
        sentinel_kwargs={
            "username": servers.sentinel_username,
            "password": servers.sentinel_password,
            "socket_timeout": servers.timeout,
            "socket_connect_timeout": servers.connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
            "maint_notifications_config": _QUIET,
        },
    )
    try:
        if servers.is_replica:
            replicas = await client.discover_slaves(servers.master)
            if not replicas:
                raise ConnectionError(f"no replica of {servers.master}")
            host, port = replicas[0]
        else:
            host, port = await client.discover_master(servers.master)
    finally:
        await client.aclose()
    return str(host), int(port)
