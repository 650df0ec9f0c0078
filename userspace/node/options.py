"""The command line of `unilb node`, turned into settings."""

import argparse
import json
import os
from collections.abc import Callable
from ctypes import sizeof
from dataclasses import fields
from pathlib import Path

from control.model.encryption import Keyring, parse_keyring
from userspace.config.settings import Settings, SettingsError
from userspace.node.ageing import Timeouts
from userspace.node.daemon_settings import NodeSettings
from userspace.node.datapath import Sizes
from userspace.node.forwarding import ForwardingSettings
from userspace.node.image_cache import CACHE
from userspace.node.splice_abi import Answer, Splice

TIMEOUTS = tuple(field.name for field in fields(Timeouts))


def add_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", run: Callable[[argparse.Namespace], int]
) -> None:
    parser = subparsers.add_parser("node", help="run a gateway or an L4 node", description=__doc__)
    parser.add_argument("--id", help="this machine's id below /unilb/nodes/ in the store")
    parser.add_argument("--store", metavar="URL", help="etcd://host:port[,...]")
    parser.add_argument("--detach", action="store_true", help="remove programs, maps and devices, and exit")
    parser.add_argument(
        "--listen",
        action="append",
        metavar="HOST:PORT",
        help="gateways: accept here; repeatable (default 0.0.0.0:80; [::]:80 is IPv6 alone)",
    )
    parser.add_argument(
        "--listen-tls", action="append", default=[], metavar="HOST:PORT", help="gateways: the same for TLS; repeatable"
    )
    parser.add_argument(
        "--listen-stream",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="gateways: for stream routes",
    )
    parser.add_argument("--workers", type=int, default=1, help="gateways: worker processes (default %(default)s)")
    parser.add_argument("--user", default="nobody", help="whom workers run as (default %(default)s)")
    parser.add_argument("--metrics", metavar="HOST:PORT", default="127.0.0.1:9091", help="default %(default)s")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/unilb"), help="default %(default)s")
    parser.add_argument("--access-log", default="-", help='a path, "-" or "off"')
    parser.add_argument("--keyring", metavar="KEY[,KEY]", help="as control's; or UNILB_KEYRING, default: APISIX's")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a worker setting; repeatable")
    path = parser.add_argument_group("datapath")
    path.add_argument("--hook", choices=("auto", "tcx", "clsact", "xdp", "xdpgeneric"), default="auto")
    path.add_argument("--unique-ips", metavar="CIDR", default="100.64.0.0/10", help="as control's; default %(default)s")
    path.add_argument("--unique-ips6", metavar="CIDR", default="fd75:6e69:6c62::/64", help="likewise of IPv6")
    path.add_argument("--toa-kind", type=int, default=254, help="TCP option kind (default %(default)s)")
    path.add_argument("--max-sessions", type=int, default=65536, help="default %(default)s")
    for name in TIMEOUTS:
        path.add_argument(
            f"--{name}-timeout",
            type=float,
            default=getattr(Timeouts(), name),
            metavar="SECONDS",
            help="default %(default)s",
        )
    path.add_argument(
        "--max-splices",
        type=int,
        default=Sizes().splices,
        help=f"{sizeof(Splice)} bytes each, and {sizeof(Answer)} more of a guarded one (default %(default)s)",
    )
    path.add_argument(
        "--max-splice-age",
        type=float,
        default=0,
        metavar="SECONDS",
        help="end splices that are older; 0 for never (default %(default)s)",
    )
    path.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="for compiled programs and a joined header tree (default $UNILB_CACHE, else /var/cache/unilb)",
    )
    parser.set_defaults(run=run, parser=parser)


def address(text: str) -> tuple[str, int]:
    """Read HOST:PORT or [V6]:PORT. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)


def keyring(given: str | None) -> Keyring:
    """What the secrets of the store are encrypted with. Raises ValueError."""
    return parse_keyring(given if given is not None else os.environ.get("UNILB_KEYRING"))


def worker_settings(pairs: list[str], access_log: str) -> Settings:
    """Read NAME=VALUE pairs; a value that is JSON (a number, true, a list) is read as such, any other is text.

    Raises SettingsError, which names the setting.
    """
    doc: dict[str, object] = {"access_log": access_log}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"{pair!r} is not NAME=VALUE")
        doc[name] = _value(value)
    return Settings.from_json(doc)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def node_settings(args: argparse.Namespace) -> NodeSettings:
    """Return the settings; exits with the parser's message when an option is wrong."""
    try:
        if not args.id or not args.store:
            raise ValueError("--id and --store are needed")
        if args.max_splices < 2:
            raise ValueError("--max-splices: 2 at least, one of which is none")
        return NodeSettings(
            id=args.id,
            listen=tuple(address(text) for text in args.listen or ["0.0.0.0:80"]),
            listen_tls=tuple(address(text) for text in args.listen_tls),
            listen_stream=tuple(address(text) for text in args.listen_stream),
            workers=args.workers,
            metrics=address(args.metrics),
            user=args.user,
            run_dir=args.run_dir,
            worker=worker_settings(args.set, args.access_log),
            forwarding=ForwardingSettings(
                hook=args.hook,
                pool=args.unique_ips,
                pool6=args.unique_ips6,
                toa_kind=args.toa_kind,
                sizes=Sizes(flows=2 * args.max_sessions, splices=args.max_splices),
                splice_age=args.max_splice_age,
                timeouts=Timeouts(**{name: getattr(args, f"{name}_timeout") for name in TIMEOUTS}),
                cache=args.cache,
            ),
            keyring=keyring(args.keyring),
        )
    except ValueError as error:
        args.parser.error(str(error))
        raise
