"""`unilb run`: gateway and Admin API on one machine, with the embedded store. No root, no etcd, no BPF.

With `--config FILE` the file takes the place of store and Admin API; it is read again when it changes.
"""

import argparse
import asyncio
import logging
import os
import secrets
import signal
from pathlib import Path

from control.admin.auth import AdminKey
from control.server import ControlSettings, parse_control_listen, serve, serve_control_api
from control.standalone import open_file
from control.store.base import StoreUnavailable
from control.store.file import FileStore
from control.store.sqlite import SqliteStore
from userspace.node.daemon import NodeDaemon, run_until_signal
from userspace.node.daemon_settings import NodeSettings
from userspace.node.options import address, keyring, worker_settings

KEY_FILE = "admin.key"
ADMIN_LISTEN = "127.0.0.1:9180"
TLS_LISTEN = "127.0.0.1:9443"

log = logging.getLogger("unilb.run")


def admin_key(data_dir: Path, given: str | None) -> tuple[str, bool]:
    """Return the admin key and whether it was made just now. A made key is kept in the data directory, mode 0600."""
    if given:
        return given, False
    file = data_dir / KEY_FILE
    if file.exists():
        return file.read_text().strip(), False
    made = secrets.token_urlsafe(24)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(made + "\n")
    return made, True


async def _run(settings: NodeSettings, control: ControlSettings, database: Path) -> None:
    """Serve until SIGTERM or SIGINT; then drain."""
    store = SqliteStore(str(database))
    bound = asyncio.Event()
    daemon = NodeDaemon(settings, store)

    async def gateway() -> None:
        await bound.wait()
        await daemon.run()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(store, control, lambda _host, _port: bound.set(), daemon.endpoints))
            group.create_task(gateway())

    task = asyncio.create_task(both())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("drained")
    finally:
        await store.close()


class FileDaemon(NodeDaemon):
    """A node whose store is a file; its health says what of the file is not in force."""

    def health(self) -> dict[str, object]:
        state = super().health()
        assert isinstance(self.store, FileStore)
        return {**state, "store_error": self.store.problem or state["store_error"]}


async def _run_file(settings: NodeSettings, config: Path, listen: tuple[str, int] | None, may_lack: bool) -> int:
    """Serve what a file says until SIGTERM or SIGINT; then drain. 1 when there is nothing to serve."""
    store = open_file(config, settings.run_dir, _say)
    try:
        await store.range("/")
    except StoreUnavailable:
        return 1
    daemon = FileDaemon(settings, store)
    control = asyncio.create_task(serve_control_api(store, listen, may_lack, daemon.endpoints))
    try:
        await run_until_signal(daemon)
    finally:
        control.cancel()
        await asyncio.gather(control, return_exceptions=True)
    return 0


def _say(problem: str) -> None:
    if problem:
        log.error("%s", problem)
    else:
        log.info("all of the configuration file is in force")


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        settings = NodeSettings(
            id="local",
            listen=tuple(address(text) for text in args.listen or ["127.0.0.1:9080"]),
            listen_stream=tuple(address(text) for text in args.listen_stream),
            listen_tls=tuple(address(text) for text in args.listen_tls or ([] if args.listen else [TLS_LISTEN])),
            workers=args.workers,
            metrics=address(args.metrics),
            user=None,
            run_dir=args.data_dir,
            worker=worker_settings(args.set, args.access_log),
            forwarding=None,
            keyring=None if args.config else keyring(args.keyring),
        )
        if args.config and (args.admin_key or args.admin_listen):
            raise ValueError("--config: the file is all there is, there is no Admin API to give options for")
        args.data_dir.mkdir(parents=True, exist_ok=True)
        made = None if args.config else _control_settings(args)
    except ValueError as error:
        args.parser.error(str(error))
        raise
    _say_where(settings, args.metrics)
    if made is None:
        print(f"configured   by {args.config}, read again when it changes; no Admin API", flush=True)
        listen, may_lack = parse_control_listen(args.control_listen), args.control_listen is None
        return asyncio.run(_run_file(settings, args.config, listen, may_lack))
    asyncio.run(_run(settings, made, args.data_dir / "unilb.db"))
    return 0


def _control_settings(args: argparse.Namespace) -> ControlSettings:
    """Settings of the Admin API; its key is printed if it was made just now. Raises ValueError."""
    key, made = admin_key(args.data_dir, args.admin_key or os.environ.get("UNILB_ADMIN_KEY"))
    listen = args.admin_listen or ADMIN_LISTEN
    settings = ControlSettings(
        (AdminKey("admin", key, "admin"),),
        address(listen),
        control_listen=parse_control_listen(args.control_listen),
        may_lack_control=args.control_listen is None,
        keyring=keyring(args.keyring),
    )
    print(f"Admin API    http://{listen}/apisix/admin   header X-API-KEY")
    if made:
        print(f"admin key    {key}   (made now, kept in {args.data_dir / KEY_FILE}; not shown again)")
    return settings


def _say_where(settings: NodeSettings, metrics: str) -> None:
    print(f"data plane   http://{'  http://'.join(f'{host}:{port}' for host, port in settings.listen)}")
    if settings.listen_tls:
        print(f"with TLS     https://{'  https://'.join(f'{host}:{port}' for host, port in settings.listen_tls)}")
    print(f"metrics      http://{metrics}/metrics   state: /healthz", flush=True)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("run", help="gateway and Admin API on one machine, no root", description=__doc__)
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="a YAML file, APISIX's apisix.yaml too, and no Admin API"
    )
    parser.add_argument("--data-dir", type=Path, default=Path("unilb-data"), help="default ./%(default)s")
    parser.add_argument("--admin-key", metavar="KEY", help="or UNILB_ADMIN_KEY; else one is made and printed once")
    parser.add_argument(
        "--keyring", metavar="KEY[,KEY]", help="encrypts secrets in the store; or UNILB_KEYRING, default: APISIX's"
    )
    parser.add_argument("--workers", type=int, default=1, help="default %(default)s")
    parser.add_argument("--listen", action="append", metavar="HOST:PORT", help="data plane (default 127.0.0.1:9080)")
    parser.add_argument(
        "--listen-tls", action="append", metavar="HOST:PORT", help=f"with TLS (default {TLS_LISTEN}, without --listen)"
    )
    parser.add_argument(
        "--listen-stream",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="TCP as it is, by stream routes",
    )
    parser.add_argument("--admin-listen", metavar="HOST:PORT", help=f"default {ADMIN_LISTEN}")
    parser.add_argument(
        "--control-listen", metavar="HOST:PORT", help="Control API; 'off' for nowhere, default 127.0.0.1:9090 if free"
    )
    parser.add_argument("--metrics", default="127.0.0.1:9091", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument("--access-log", default="-", help='a path, "-" or "off" (default %(default)s)')
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a worker setting; repeatable")
    parser.set_defaults(run=run, parser=parser)
