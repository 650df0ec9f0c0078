"""`unilb toa`: gives unmodified servers on this machine the client's address that an L4 node wrote into a TCP option.

Three programs are attached to a cgroup and stay when the command has ended: one keeps the address of each handshake
that a trusted sender opened, two answer accept() and getpeername() with it, one for each family of sockets. Running it
again changes kind and trust in place; sockets that are open keep what they have.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from ctypes import c_uint32
from ipaddress import ip_network
from itertools import chain
from pathlib import Path

from userspace.node import abi, datapath, maps
from userspace.node.datapath import Datapath, Sizes
from userspace.node.headers import HeadersMissing
from userspace.node.image_cache import CACHE, LoadError
from userspace.node.machine import BPFFS, MachineError, cgroup2_mount, ensure_bpffs
from userspace.node.maps import MapMismatch, Table

ROOT = BPFFS / "unilb-toa"
MAX_TRUSTED = 4096  # addresses, as many as the map holds
SIZES = Sizes(flows=2, endpoints=1, services=1, targets=1, owned=MAX_TRUSTED, laddrs=1, accounts=1)
DEFAULT_KIND = 254  # what LVS and DPVS write for IPv4


def addresses_of(networks: Sequence[str]) -> list[str]:
    """The addresses of networks such as 198.18.1.1, 198.18.1.0/28 or 2001:db8::1. Raises ValueError for a bad
    or too large one."""
    parsed = [ip_network(text) for text in networks]
    count = sum(network.num_addresses for network in parsed)
    if count > MAX_TRUSTED:
        raise ValueError(f"--trust: {count} addresses, at most {MAX_TRUSTED} can be trusted")
    return [str(address) for address in chain.from_iterable(parsed)]


def trust(table: Table, addresses: Iterable[str]) -> None:
    """Make the map hold exactly these: new ones first, so that nobody who stays is distrusted in between."""
    wanted = {bytes(abi.addr(address)) for address in addresses}
    there = {key for key, _ in table.items()}
    table.put_many((key, bytes(c_uint32(1))) for key in sorted(wanted - there))
    for key in there - wanted:
        table.delete(key)


def attach(root: Path, cgroup: Path, kind: int, addresses: Sequence[str], cache: Path) -> Datapath:
    """Load or adopt the programs, tell them whom to trust, and attach them to `cgroup`.

    Raises LoadError, HeadersMissing, MapMismatch, OSError.
    """
    root.mkdir(exist_ok=True)
    loaded = datapath.load(root, "toa", SIZES, cache)
    loaded.tables["machine"].put(c_uint32(0), abi.Machine(toa_kind=kind))
    trust(loaded.tables["toa_trusted"], addresses)
    descriptor = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        datapath.attach(loaded, {}, descriptor)
    finally:
        os.close(descriptor)
    return loaded


def status(root: Path) -> str:
    """What is attached and what it has seen, for people; "" when nothing is."""
    here = datapath.home(root)
    if not (here / "links" / "toa_read").exists():
        return ""
    tables = maps.open_tables(here)
    try:
        machine = abi.Machine.from_buffer_copy(tables["machine"].get(c_uint32(0)) or bytes(abi.Machine()))
        events = tables["events"].totals(len(abi.Event))
        trusted = len(tables["toa_trusted"].items())
    finally:
        maps.close_tables(tables)
    return (
        f"TOA kind {machine.toa_kind}, {trusted} trusted addresses\n"
        f"handshakes with an address read: {events[abi.Event.TOA_READ]}\n"
        f"options of senders that are not trusted, ignored: {events[abi.Event.TOA_UNTRUSTED]}"
    )


def run(args: argparse.Namespace) -> int:
    try:
        root = args.bpffs or ensure_bpffs().with_name(ROOT.name)
        if args.detach:
            print("removed" if datapath.detach(root) else "nothing was attached")
            shutil.rmtree(root, ignore_errors=True)
            return 0
        if args.status:
            text = status(root)
            print(text or "nothing is attached")
            return 0 if text else 1
        addresses = addresses_of(args.trust)
        if not addresses:
            args.parser.error("--trust is required: name the local addresses of the L4 nodes")
        if not 1 < args.kind < 256:
            args.parser.error("--kind: expected 2 to 255")
        cgroup = args.cgroup or cgroup2_mount()
        attach(root, cgroup, args.kind, addresses, args.cache).close()
    except ValueError as problem:
        args.parser.error(str(problem))
    except (LoadError, HeadersMissing, MapMismatch, MachineError, OSError) as problem:
        print(f"unilb toa: {problem}", file=sys.stderr)
        return 1
    print(f"sockets in {cgroup} see the clients of {len(addresses)} addresses; undo with `unilb toa --detach`")
    return 0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("toa", help="show servers the client behind an L4 node", description=__doc__)
    parser.add_argument(
        "--trust", action="append", default=[], metavar="ADDRESS|CIDR", help="an L4 node's local address; repeatable"
    )
    parser.add_argument("--kind", type=int, default=DEFAULT_KIND, help="of the TCP option (default %(default)s)")
    parser.add_argument("--cgroup", type=Path, help="whose sockets (default: the root of cgroup2, all of them)")
    parser.add_argument("--status", action="store_true", help="print what is attached and what it has counted")
    parser.add_argument("--detach", action="store_true", help="remove programs and maps")
    parser.add_argument("--bpffs", type=Path, help=f"where they are pinned (default {ROOT})")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default %(default)s")
    parser.set_defaults(run=run, parser=parser)
