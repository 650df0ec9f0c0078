"""Splices as people see them, read from the maps; and their end by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from userspace.net import join_host_port
from userspace.node import abi
from userspace.node.maps import Table
from userspace.node.resets import reset_splice
from userspace.node.splice_abi import Kind, Splice, State
from userspace.node.splice_table import SpliceTable

NSEC = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SpliceRow:
    """One splice. Addresses with ports, of both ends and of ours towards each; vni 0 outside every VPC; times in
    seconds; pairs are from the client and back, bytes of payload."""

    id: int
    client: str
    reached: str
    leaves_as: str
    endpoint: str
    vni: int
    state: str
    kind: str
    age: float
    idle: float
    requests: int
    packets: tuple[int, int]
    bytes: tuple[int, int]


def rows(splices: list[tuple[int, Splice]], now_ns: int) -> Iterator[SpliceRow]:
    """Yield splices in rows, oldest first. now_ns: CLOCK_MONOTONIC."""
    for id, splice in sorted(splices, key=lambda one: int(one[1].created_ns)):
        up, down = splice.from_
        yield SpliceRow(
            id=id,
            client=_named(up.saddr, up.sport),
            reached=_named(up.daddr, up.dport),
            leaves_as=_named(down.daddr, down.dport),
            endpoint=_named(down.saddr, down.sport),
            vni=down.vni,
            state=State(splice.state).name.lower(),
            kind=Kind(splice.kind).name.lower(),
            age=(now_ns - splice.created_ns) / NSEC,
            idle=(now_ns - splice.last_seen_ns) / NSEC,
            requests=splice.requests,
            packets=(splice.packets[0], splice.packets[1]),
            bytes=(splice.bytes[0], splice.bytes[1]),
        )


def table(found: list[SpliceRow]) -> str:
    """Return splices as a table for people."""
    names = f"{'from':<22} {'to':<22} {'leaves as':<22} {'towards':<22}"
    head = f"{names} {'vni':>6} {'state':<7} {'kind':<8} {'idle':>6} {'requests':>9} {'bytes':>21}"
    lines = [
        f"{r.client:<22} {r.reached:<22} {r.leaves_as:<22} {r.endpoint:<22} {r.vni or '-':>6} {r.state:<7} {r.kind:<8} "
        f"{r.idle:>5.0f}s {r.requests:>9} {r.bytes[0]:>10}/{r.bytes[1]:<10}"
        for r in found
    ]
    return "\n".join([head, *lines])


def kill(tables: Mapping[str, Table], found: list[SpliceRow]) -> int:
    """Take splices away and reset both of their ends; the node lets go of its sockets at its next sweep."""
    splices = SpliceTable(tables)
    for row in found:
        splice = splices.get(row.id)
        splices.remove(row.id, splice)
        reset_splice(tables, splice, True)
    return len(found)


def _named(address: abi.Addr, port: int) -> str:
    return join_host_port(abi.text(address), port)
