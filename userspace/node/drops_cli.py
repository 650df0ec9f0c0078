"""`unilb drops`: packets that this machine's datapath drops, as it drops them, with the reason and their first bytes.

The datapath tells only while somebody watches: this renews a deadline in the map `drop_watch` each second, and when it
ends, or is killed, the telling ends within WATCH seconds. What the ring cannot hold is counted as ever and not told.
"""

import argparse
import contextlib
import json
import select
import sys
import time
from ctypes import c_uint32
from pathlib import Path
from typing import Any

from userspace.net import join_host_port
from userspace.node import abi, bpf, datapath, maps
from userspace.node.abi import DropReason
from userspace.node.machine import BPFFS
from userspace.node.ring import Ring

NSEC = 1_000_000_000
WATCH = 3  # seconds


def watch(table: maps.Table, now_ns: int, every: int) -> None:
    """Have the datapath tell one drop of `every`, per CPU and reason, for WATCH seconds."""
    table.put(c_uint32(0), abi.Watch(until_ns=now_ns + WATCH * NSEC, every=every))


def row(event: abi.DropEvent) -> dict[str, Any]:
    """Return one drop in plain values; addresses are empty when the packet had none that could be read."""
    flow = event.flow
    is_known = any(flow.daddr.bytes)
    return {
        "at": event.at_ns / NSEC,
        "reason": DropReason(event.reason).name.lower(),
        "from": join_host_port(abi.text(flow.saddr), flow.sport) if is_known else "",
        "to": join_host_port(abi.text(flow.daddr), flow.dport) if is_known else "",
        "protocol": {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}.get(flow.proto, str(flow.proto)),
        "vni": flow.vni,
        "length": event.len,
        "bytes": bytes(event.bytes)[: event.captured].hex(),
    }


def line(found: dict[str, Any], now: float) -> str:
    """Return one drop for people; `now` on the clock of `at`."""
    vni = f" vni {found['vni']}" if found["vni"] else ""
    return (
        f"{found['at'] - now:>8.3f}s {found['reason']:<16} {found['protocol']:<5} {found['from'] or '-':<24} > "
        f"{found['to'] or '-':<24}{vni} {found['length']} bytes {found['bytes'][:56]}"
    )


def run(args: argparse.Namespace) -> int:
    here = datapath.home(args.bpffs)
    if not (here / "drop_events").exists():
        print(f"no datapath is loaded: nothing is pinned at {here}", file=sys.stderr)
        return 1
    tables = maps.open_tables(here)
    told, started = 0, time.monotonic()
    with (
        Ring(bpf.get_pinned(here / "drop_events")) as ring,
        contextlib.suppress(KeyboardInterrupt, BrokenPipeError),
    ):
        poll = select.epoll()
        poll.register(ring.fd, select.EPOLLIN)
        for _ in ring.read():  # what an earlier watcher left
            pass
        while args.seconds is None or time.monotonic() - started < args.seconds:
            watch(tables["drop_watch"], time.monotonic_ns(), args.every)
            poll.poll(0.2)
            for record in ring.read():
                found = row(abi.DropEvent.from_buffer_copy(record))
                if args.reason not in (None, found["reason"]) or args.match not in f"{found['from']} {found['to']}":
                    continue
                print(json.dumps(found) if args.json else line(found, started), flush=True)
                told += 1
                if told == args.count:
                    return 0
    return 0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("drops", help="packets that the datapath drops, live", description=__doc__)
    parser.add_argument("match", nargs="?", default="", help="part of an address or address:port")
    reasons = [reason.name.lower() for reason in DropReason if reason is not DropReason.NONE]
    parser.add_argument("--reason", choices=reasons, metavar="REASON", help=f"only this one: {', '.join(reasons)}")
    parser.add_argument("--every", type=int, default=1, help="one of so many, per CPU and reason (default %(default)s)")
    parser.add_argument("--count", type=int, help="end after so many")
    parser.add_argument("--seconds", type=float, help="end after so long")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--bpffs", type=Path, default=BPFFS / "unilb", help="default %(default)s")
    parser.set_defaults(run=run)
