"""`unilb control`: the Admin API as a process, or inside another's event loop. Needs no privilege."""

import argparse
import asyncio
import base64
import contextlib
import ipaddress
import math
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
import uvloop
from starlette.types import ASGIApp

from control.admin.app import build
from control.admin.audit import AuditLog
from control.admin.auth import AdminKey
from control.admin.limits import DEFAULT_RATE, RateLimit
from control.admin.progress import Progress
from control.admin.sealed import SealedStore
from control.allocate.pool import DEFAULT_LADDRS, DEFAULT_POOL, DEFAULT_POOL6, DEFAULT_REST, Pools, parse_pool
from control.control_api.app import build as build_control_api
from control.control_api.health import Own
from control.control_api.veiled import Veiled
from control.http_server import Server, Tls
from control.model.encryption import Keyring, parse_keyring
from control.model.keys import STICKY_KEYS
from control.model.sticky import KEY_BYTES
from control.store.base import Compare, Put, Store, StoreError, StoreUnavailable
from control.store.open import open_store
from control.ticket_keys import keep_ticket_keys, rotate_if_due

MIN_KEY_LENGTH = 8
DEFAULT_CONTROL_LISTEN = "127.0.0.1:9090"
# Seconds.
STORE_RETRY = 1.0


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """`listen`: host and port, port 0 for any free one. `audit_log`: a file, None for standard error.

    `control_listen`: where the Control API listens, None for nowhere; `may_lack_control`: nowhere too when it is taken.
    `rate`: requests a second from one address, and
    with one key; 0 for any number. Loopback addresses are not limited.
    """

    keys: tuple[AdminKey, ...]
    listen: tuple[str, int] = ("127.0.0.1", 9180)
    audit_log: str | None = None
    pools: Pools = Pools()
    keyring: Keyring = field(default_factory=Keyring)
    control_listen: tuple[str, int] | None = None
    may_lack_control: bool = False
    tls: Tls | None = None
    rate: float = DEFAULT_RATE

    def __post_init__(self) -> None:
        if not any(key.role == "admin" for key in self.keys):
            raise ValueError("admin key: give --admin-key or set UNILB_ADMIN_KEY")
        if len({key.key for key in self.keys}) < len(self.keys):
            raise ValueError("viewer key: it must differ from the admin key")
        if not (math.isfinite(self.rate) and self.rate >= 0):
            raise ValueError("rate limit: expected 0 or a number of requests a second")
        for key in self.keys:
            if len(key.key) < MIN_KEY_LENGTH:
                raise ValueError(f"{key.name} key: it has fewer than {MIN_KEY_LENGTH} characters")


async def serve(
    store: Store, settings: ControlSettings, ready: Callable[[str, int], None], own: Own | None = None
) -> None:
    """Serve until cancelled, then finish the exchanges in progress, for a bounded time.

    `ready(host, port)` is called once connections are taken and the store holds its keys. `own`: what the gateway in
    this process reports, if there is one. Raises OSError when the address cannot be bound. The store stays open.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_bind(settings.listen))
        audit = stack.enter_context(AuditLog(settings.audit_log))
        sealed = SealedStore(store, settings.keyring)
        progress = Progress(store)
        app: ASGIApp = build(sealed, settings.keys, audit, settings.pools, progress)
        if settings.rate:
            app = RateLimit(app, settings.keys, settings.rate)
        servers = [(Server(app, settings.tls.context() if settings.tls else None), listener)]
        control = _bind_control(settings.control_listen, settings.may_lack_control)
        if isinstance(control, socket.socket):
            # As it is stored: nobody needs a key to read here.
            servers.append((Server(build_control_api(store, own)), stack.enter_context(control)))
        await _create_sticky_keys(store)
        with contextlib.suppress(StoreError):  # within a minute it is tried again
            await rotate_if_due(store, int(time.time()))
        host, port = listener.getsockname()[:2]
        ready(host, port)
        _say_what_is_missing(control)
        serving = asyncio.gather(*(server.serve([bound]) for server, bound in servers))
        following = asyncio.gather(progress.run(), keep_ticket_keys(store))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            for server, _ in servers:
                server.should_exit = True
            await serving
            raise
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def serve_control_api(store: Store, listen: tuple[str, int] | None, may_lack: bool, own: Own) -> None:
    """Serve the Control API alone until cancelled, over objects in the clear: it shows no secret of theirs.

    `listen` and `may_lack`: as `control_listen` and `may_lack_control`. Raises OSError when it cannot be bound.
    """
    with contextlib.ExitStack() as stack:
        bound = _bind_control(listen, may_lack)
        _say_what_is_missing(bound)
        if isinstance(bound, socket.socket):
            stack.enter_context(bound)
            await Server(build_control_api(Veiled(store), own)).serve([bound])


def _bind_control(listen: tuple[str, int] | None, may_lack: bool) -> socket.socket | str | None:
    """The Control API's socket, or why there is none."""
    if listen is None:
        return None
    try:
        return _bind(listen)
    except OSError as problem:
        if not may_lack:
            raise
        return f"{listen[0]}:{listen[1]}: {problem.strerror}"


def _say_what_is_missing(control: socket.socket | str | None) -> None:
    if isinstance(control, str):
        print(f"unilb control: no Control API: {control}", file=sys.stderr)  # noqa: T201


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `control` to the program's subcommands."""
    parser = subparsers.add_parser("control", help="serve the Admin API", description=__doc__)
    parser.add_argument("--store", required=True, metavar="URL", help="etcd://host:port[,...] or sqlite:///path/file")
    parser.add_argument("--listen", default="127.0.0.1:9180", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument(
        "--admin-key", metavar="KEY", help="or UNILB_ADMIN_KEY, which other users of the machine cannot see"
    )
    parser.add_argument("--viewer-key", metavar="KEY", help="may only read; or UNILB_VIEWER_KEY")
    parser.add_argument("--audit-log", metavar="FILE", help="default: standard error")
    parser.add_argument("--tls-cert", metavar="FILE", help="serve the Admin API over TLS: certificate and chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="its key")
    parser.add_argument("--tls-client-ca", metavar="FILE", help="ask clients for a certificate of this authority")
    parser.add_argument(
        "--rate-limit",
        type=float,
        default=DEFAULT_RATE,
        metavar="PER_SECOND",
        help="requests from one address, and with one key, not from this machine; 0 for any, default: %(default)s",
    )
    parser.add_argument(
        "--control-listen",
        metavar="HOST:PORT",
        help="the Control API, which asks for no key; 'off' for nowhere, default: 127.0.0.1:9090 if it is free",
    )
    parser.add_argument(
        "--keyring",
        metavar="KEY[,KEY]",
        help="encrypts secrets in the store: keys of 16 or 32 bytes, the first one for new secrets;"
        " '' stores them in the clear; or UNILB_KEYRING, default: APISIX's, which everybody knows",
    )
    parser.add_argument("--unique-ips", default=DEFAULT_POOL, metavar="CIDR", help="pool, default: %(default)s")
    parser.add_argument("--unique-ips6", default=DEFAULT_POOL6, metavar="CIDR", help="of IPv6, default: %(default)s")
    parser.add_argument(
        "--unique-ip-rest",
        type=int,
        default=DEFAULT_REST,
        metavar="SECONDS",
        help="how long a freed address of any pool stays unused, default: %(default)s",
    )
    parser.add_argument("--laddrs", default=DEFAULT_LADDRS, metavar="CIDR", help="FNAT pool, default: %(default)s")
    parser.add_argument("--vips", metavar="CIDR", help="pool for VIPs that name no address; default: none")
    parser.add_argument("--eips", metavar="CIDR", help="pool for EIPs that name no address; default: none")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `unilb control` until SIGTERM or SIGINT; return its exit status."""
    try:
        settings = settings_from(arguments)
        store = open_store(arguments.store)
    except ValueError as problem:
        print(f"unilb control: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_until_signal(store, settings))
    except OSError as problem:
        print(f"unilb control: {arguments.listen}: {problem.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    except StoreError as problem:
        print(f"unilb control: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def settings_from(arguments: argparse.Namespace) -> ControlSettings:
    """Settings from the command line and the environment. Raises ValueError."""
    admin_key = arguments.admin_key or os.environ.get("UNILB_ADMIN_KEY")
    rest = arguments.unique_ip_rest
    viewer_key = arguments.viewer_key or os.environ.get("UNILB_VIEWER_KEY")
    keys = [AdminKey("admin", admin_key, "admin")] if admin_key else []
    if viewer_key:
        keys.append(AdminKey("viewer", viewer_key, "viewer"))
    return ControlSettings(
        keys=tuple(keys),
        listen=parse_address(arguments.listen),
        audit_log=arguments.audit_log,
        pools=Pools(
            parse_pool(arguments.unique_ips, rest),
            parse_pool(arguments.laddrs, rest),
            parse_pool(arguments.vips, rest) if arguments.vips else None,
            parse_pool(arguments.eips, rest) if arguments.eips else None,
            parse_pool(arguments.unique_ips6, rest, version=6),
        ),
        keyring=parse_keyring(arguments.keyring if arguments.keyring is not None else os.environ.get("UNILB_KEYRING")),
        tls=_tls_from(arguments),
        rate=arguments.rate_limit,
        control_listen=parse_control_listen(arguments.control_listen),
        may_lack_control=arguments.control_listen is None,
    )


def _tls_from(arguments: argparse.Namespace) -> Tls | None:
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        raise ValueError("TLS: --tls-cert and --tls-key go together")
    if not arguments.tls_cert:
        if arguments.tls_client_ca:
            raise ValueError("TLS: --tls-client-ca needs --tls-cert and --tls-key")
        return None
    tls = Tls(arguments.tls_cert, arguments.tls_key, arguments.tls_client_ca)
    # What cannot be read is said before anything is started.
    tls.context()
    return tls


def parse_control_listen(text: str | None) -> tuple[str, int] | None:
    """Where the Control API listens: None for "off". Raises ValueError."""
    return None if text == "off" else parse_address(text or DEFAULT_CONTROL_LISTEN)


def parse_address(text: str) -> tuple[str, int]:
    """("127.0.0.1", 9180) from "127.0.0.1:9180"; IPv6 in brackets. Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise ValueError(f"listen: expected ADDRESS:PORT, got {text!r}")
    return host, number


async def _run_until_signal(store: Store, settings: ControlSettings) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(serve(store, settings, _say_ready))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    finally:
        await store.close()


def _say_ready(host: str, port: int) -> None:
    print(f"unilb control: listening on {host}:{port}", file=sys.stderr)  # noqa: T201


def _bind(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def _create_sticky_keys(store: Store) -> None:
    """Make the key of the sticky cookies unless it is there; wait for the store as long as it takes."""
    value = orjson.dumps({"current": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()})
    said = ""
    while True:
        try:
            await store.txn([Compare(STICKY_KEYS, 0)], [Put(STICKY_KEYS, value)])
            return
        except StoreUnavailable as problem:
            if str(problem) != said:
                said = str(problem)
                print(f"unilb control: waiting for the store: {said}", file=sys.stderr)  # noqa: T201
            await asyncio.sleep(STORE_RETRY)
