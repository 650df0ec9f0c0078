"""`unilb sessions`: the FNAT sessions of this machine, or its splices, read from its maps."""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from userspace.node import abi, datapath, maps, spliced_rows
from userspace.node.abi import Direction, TcpSeen
from userspace.node.ageing import TCP, Ended
from userspace.node.machine import BPFFS
from userspace.node.resets import reset_ends
from userspace.node.splice_table import SpliceTable

NSEC = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session, both directions. Addresses with ports; vni 0 outside every VPC; times in seconds. leaves_as: "dsr"
    for a DSR VIP's, whose answers are not seen here."""

    key: bytes  # of the forward entry
    opener: str
    reached: str
    leaves_as: str
    towards: str
    vni: int
    state: str
    age: float
    idle: float
    packets: tuple[int, int]
    bytes: tuple[int, int]


def rows(entries: dict[bytes, bytes], now_ns: int) -> Iterator[SessionRow]:
    """Yield the sessions of a table, oldest first; half sessions are passed over."""
    sessions = {key: abi.Session.from_buffer_copy(value) for key, value in entries.items()}
    forward = sorted(
        ((k, s) for k, s in sessions.items() if s.direction in (Direction.FORWARD, Direction.ONLY)),
        key=lambda ks: ks[1].created_ns,
    )
    for key, session in forward:
        is_dsr = session.direction == Direction.ONLY
        reply = _unseen(session) if is_dsr else sessions.get(bytes(session.peer))
        if reply is None:
            continue
        flow = abi.Flow.from_buffer_copy(key)
        yield SessionRow(
            opener=f"{abi.text(flow.saddr)}:{flow.sport}",
            reached=f"{abi.text(flow.daddr)}:{flow.dport}",
            leaves_as="dsr" if is_dsr else f"{abi.text(session.peer.daddr)}:{session.peer.dport}",
            towards=f"{abi.text(session.peer.saddr)}:{session.peer.sport}",
            vni=session.peer.vni,
            state=state(session.tcp_seen, reply.tcp_seen),
            age=(now_ns - session.created_ns) / NSEC,
            idle=(now_ns - max(session.last_seen_ns, reply.last_seen_ns)) / NSEC,
            packets=(session.packets, reply.packets),
            bytes=(session.bytes, reply.bytes),
            key=key,
        )


def _unseen(session: abi.Session) -> abi.Session:
    """Return what a DSR VIP's target must have answered."""
    return abi.Session(tcp_seen=TcpSeen.DATA if session.tcp_seen & TcpSeen.PEER else 0)


def state(forward: int, reply: int) -> str:
    """Return the word for what both directions have seen; TCP's words, for datagrams "opening" until an answer."""
    seen = forward | reply
    if seen & TcpSeen.RST:
        return "reset"
    if seen & TcpSeen.FIN:
        return "closed" if forward & reply & TcpSeen.FIN else "closing"
    return "established" if forward & reply & TcpSeen.DATA else "opening"


def table(found: list[SessionRow]) -> str:
    """Return the sessions as a table for people."""
    names = f"{'from':<22} {'to':<22} {'leaves as':<22} {'towards':<22}"
    head = f"{names} {'vni':>6} {'state':<12} {'idle':>6} {'packets':>15}"
    lines = [
        f"{r.opener:<22} {r.reached:<22} {r.leaves_as:<22} {r.towards:<22} {r.vni or '-':>6} {r.state:<12} "
        f"{r.idle:>5.0f}s {r.packets[0]:>7}/{r.packets[1]:<7}"
        for r in found
    ]
    return "\n".join([head, *lines])


def kill(tables: dict[str, maps.Table], entries: dict[bytes, bytes], found: list[SessionRow]) -> int:
    """Take sessions away and reset both of their ends; return how many were still there."""
    ended = []
    for row in found:
        forward = entries[row.key]
        peer = forward[: len(row.key)]
        if tables["sessions"].delete(row.key):
            tables["sessions"].delete(peer)
            ended.append(Ended(row.key, forward, entries.get(peer)))
    reset_ends(tables, [one for one in ended if abi.Flow.from_buffer_copy(one.key).proto == TCP])
    return len(ended)


def run(args: argparse.Namespace) -> int:
    here = datapath.home(args.bpffs)
    if not here.exists():
        print(f"no datapath is loaded: nothing is pinned at {here}")
        return 1
    if args.kill and not (args.match or args.vni or args.state):
        print("--kill needs to be told which: an address, --vni or --state")
        return 2
    tables = maps.open_tables(here)
    if args.spliced:
        try:
            return _spliced(args, tables)
        finally:
            maps.close_tables(tables)
    entries = dict(tables["sessions"].items())
    found = [
        row
        for row in rows(entries, time.monotonic_ns())
        if args.match in f"{row.opener} {row.reached} {row.leaves_as} {row.towards}"
        and args.vni in (None, row.vni)
        and args.state in (None, row.state)
    ]
    if args.kill:
        print(f"{kill(tables, entries, found)} sessions ended, their ends told")
    elif args.count:
        print(len(found))
    elif args.json:
        for row in found:
            print(json.dumps({name: value for name, value in asdict(row).items() if name != "key"}))
    else:
        print(table(found[: args.limit]))
        if len(found) > args.limit:
            print(f"... and {len(found) - args.limit} more (--limit)")
    maps.close_tables(tables)
    return 0


def _spliced(args: argparse.Namespace, tables: dict[str, maps.Table]) -> int:
    if "splices" not in tables:
        print("this machine's datapath carries no splices")
        return 1
    found = [
        row
        for row in spliced_rows.rows(SpliceTable(tables).living(), time.monotonic_ns())
        if args.match in f"{row.client} {row.reached} {row.leaves_as} {row.endpoint}"
        and args.vni in (None, row.vni)
        and args.state in (None, row.state)
    ]
    if args.kill:
        print(f"{spliced_rows.kill(tables, found)} splices ended, their ends told")
    elif args.count:
        print(len(found))
    elif args.json:
        for row in found:
            print(json.dumps(asdict(row)))
    else:
        print(spliced_rows.table(found[: args.limit]))
        if len(found) > args.limit:
            print(f"... and {len(found) - args.limit} more (--limit)")
    return 0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("sessions", help="the FNAT sessions of this machine", description=__doc__)
    parser.add_argument("match", nargs="?", default="", help="part of an address or address:port")
    parser.add_argument("--vni", type=int, help="only this VPC's")
    states = ("opening", "established", "closing", "closed", "reset", "tail", "active", "back")
    parser.add_argument("--state", choices=states, help="tail, active, back and closed are splices'")
    parser.add_argument(
        "--spliced", action="store_true", help="the splices instead: decided, and carried by the kernel"
    )
    parser.add_argument("--count", action="store_true", help="print how many")
    parser.add_argument("--kill", action="store_true", help="end those that match, with a RST to both ends")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--limit", type=int, default=100, help="rows of the table (default %(default)s)")
    parser.add_argument("--bpffs", type=Path, default=BPFFS / "unilb", help="default %(default)s")
    parser.set_defaults(run=run)
