"""`unilb top`: which connections of this machine move most, sessions and splices, live."""

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from userspace.node import datapath, maps, sessions_cli, spliced_rows
from userspace.node.machine import BPFFS
from userspace.node.maps import Table
from userspace.node.splice_table import SpliceTable


@dataclass(frozen=True, slots=True)
class Moved:
    """What a connection has moved since it began; `bytes` of payload for a splice, of IP packets for a session."""

    what: str
    begin: str
    end: str
    bytes: int
    packets: int
    requests: int


@dataclass(frozen=True, slots=True)
class Rate:
    """The same by the second."""

    moved: Moved
    bytes: float
    packets: float
    requests: float


def read(tables: Mapping[str, Table], now_ns: int) -> dict[str, Moved]:
    """Return what each connection has moved so far, by what tells it from every other."""
    found: dict[str, Moved] = {}
    for row in sessions_cli.rows(dict(tables["sessions"].items()), now_ns):
        key = f"session {row.opener} {row.reached} {row.vni} {row.leaves_as}"
        found[key] = Moved("session", row.opener, row.towards, sum(row.bytes), sum(row.packets), 0)
    if "splices" in tables:
        for one in spliced_rows.rows(SpliceTable(tables).living(), now_ns):
            key = f"splice {one.client} {one.reached} {one.leaves_as}"
            found[key] = Moved("splice", one.client, one.endpoint, sum(one.bytes), sum(one.packets), one.requests)
    return found


def rates(before: Mapping[str, Moved], after: Mapping[str, Moved], seconds: float) -> list[Rate]:
    """Return the rates between two readings, most bytes first. What was not there before began with nothing."""
    found = []
    for key, now in after.items():
        was = before.get(key)
        if was is None or was.packets > now.packets:  # new, or other connections of the same ends
            was = Moved(now.what, now.begin, now.end, 0, 0, 0)
        rate = Rate(
            now,
            (now.bytes - was.bytes) / seconds,
            (now.packets - was.packets) / seconds,
            (now.requests - was.requests) / seconds,
        )
        found.append(rate)
    return sorted(found, key=lambda rate: (-rate.bytes, -rate.packets, rate.moved.begin))


def table(found: list[Rate], limit: int) -> str:
    """Return the rates for people, and below how many connections there are."""
    head = f"{'':<8} {'from':<22} {'towards':<22} {'bytes/s':>12} {'packets/s':>10} {'requests/s':>11}"
    lines = [
        f"{r.moved.what:<8} {r.moved.begin:<22} {r.moved.end:<22} {r.bytes:>12.0f} {r.packets:>10.0f} "
        f"{r.requests:>11.1f}"
        for r in found[:limit]
    ]
    moving = sum(rate.packets > 0 for rate in found)
    total = sum(rate.bytes for rate in found)
    return "\n".join([head, *lines, f"{len(found)} connections, {moving} moving, {total:.0f} bytes/s"])


def run(args: argparse.Namespace) -> int:
    here = datapath.home(args.bpffs)
    if not (here / "sessions").exists():
        print(f"no datapath is loaded: nothing is pinned at {here}", file=sys.stderr)
        return 1
    tables = maps.open_tables(here)
    before, since = read(tables, time.monotonic_ns()), time.monotonic()
    shown = 0
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        while shown != args.count:
            time.sleep(args.every)
            after, now = read(tables, time.monotonic_ns()), time.monotonic()
            clear = "\x1b[H\x1b[J" if sys.stdout.isatty() else ""
            print(clear + table(rates(before, after, now - since), args.limit), flush=True)
            before, since = after, now
            shown += 1
    maps.close_tables(tables)
    return 0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("top", help="which connections move most, live", description=__doc__)
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="default %(default)s")
    parser.add_argument("--count", type=int, help="end after so many tables")
    parser.add_argument("--limit", type=int, default=20, help="rows of the table (default %(default)s)")
    parser.add_argument("--bpffs", type=Path, default=BPFFS / "unilb", help="default %(default)s")
    parser.set_defaults(run=run)
