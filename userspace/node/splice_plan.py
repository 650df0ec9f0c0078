"""What a splice of two legs is: whether it may be, and every number of it. Pure.

The client's leg awaits `tail` bytes more, which the worker has in hand; the splice is planned as if they were sent.
The formulas stand in bpf/lib/abi_splice.h: index 0 is the way from the client, 1 the way back.
"""

from dataclasses import dataclass

from userspace.node import abi
from userspace.node.splice_abi import Flag, Guard, Kind, Splice, SpliceEnd, State
from userspace.node.tcp_leg import ESTABLISHED, Leg, Option

TCP = 6
MAX_TAIL = 1 << 24  # bytes
_SAME = Option.TIMESTAMPS | Option.SACK


@dataclass(frozen=True, slots=True)
class Asked:
    """What a worker wants: tail in bytes. guard: the decision's, for Kind.GUARDED; epoch: under which it is made.
    client: who is there, if not the peer. logged, revision: as in struct splice."""

    kind: Kind
    tail: int
    epoch: int
    guard: Guard
    client: tuple[str, int] | None = None
    logged: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How an endpoint in a VPC is reached: `reply` is the flow of its packets as they arrive, in its VNI."""

    unique_ip: abi.Addr
    reply: abi.Flow
    sport: int


def refusal(client: Leg, endpoint: Leg, tail: int) -> str | None:
    """Return the name of what forbids a splice of these two, or None."""
    both = (client, endpoint)
    found = {
        "state": any(leg.state != ESTABLISHED for leg in both),
        "upper": any(leg.upper for leg in both),
        "mptcp": any(leg.is_mptcp for leg in both),
        "family": client.is_ipv6 != endpoint.is_ipv6,
        "local": not (client.is_routed and endpoint.is_routed),
        "options": bool((client.options ^ endpoint.options) & _SAME),
        "ecn": any(leg.options & Option.ECN for leg in both),
        "clock": any(leg.options & Option.TIMESTAMPS and leg.clock & 1 for leg in both)
        or any(leg.options & Option.MICROSECONDS for leg in both),
        "busy": bool(client.unread or endpoint.unread),
        "unacknowledged": bool(endpoint.unacked),
        "tail": not 0 <= tail <= MAX_TAIL,
    }
    return next((name for name, holds in found.items() if holds), None)


def splice(
    client: Leg,
    endpoint: Leg,
    asked: Asked,
    generation: int,
    account: int,
    now_ns: int,
    tunnel: Tunnel | None = None,
) -> Splice:
    """Return the entry of `splices`. now_ns: CLOCK_MONOTONIC, when the legs were read."""
    tail_end = _word(client.send_next + asked.tail)
    up = _word(endpoint.send_next - client.receive_next)
    down = _word(tail_end - endpoint.receive_next)
    has_clock = bool(client.options & Option.TIMESTAMPS)
    made = Splice(
        generation=generation,
        state=State.TAIL if asked.tail or client.unacked else State.ACTIVE,
        kind=asked.kind,
        flags=(Flag.TIMESTAMPS if has_clock else 0) | (Flag.VPC if tunnel else 0),
        tail_end=tail_end,
        sack=bool(client.options & Option.SACK),
        head=client.receive_next,
        account=account,
        epoch=asked.epoch,
        revision=asked.revision,
        logged=asked.logged,
        created_ns=now_ns,
        last_seen_ns=now_ns,
        guard=asked.guard,
    )
    address, made.client_port = asked.client or client.peer
    made.client = abi.addr(address)
    made.from_[0] = arriving(client)
    made.from_[1] = tunnel.reply if tunnel else arriving(endpoint)
    if tunnel:
        made.unique_ip, made.tunnel_sport = tunnel.unique_ip, tunnel.sport
    made.scale_from[:] = client.send_scale, endpoint.send_scale
    made.scale_to[:] = endpoint.receive_scale, client.receive_scale
    made.delta[:] = up, down
    made.clock_base[:] = (endpoint.clock, client.clock) if has_clock else (0, 0)
    made.end[:] = client.receive_next, endpoint.receive_next
    # As if the client had acknowledged the tail, in its own numbers.
    made.acked[:] = tail_end, endpoint.send_next
    made.window[:] = [min(leg.window >> leg.send_scale, 0xFFFF) for leg in (client, endpoint)]
    made.mss[:] = [min(leg.mss, 0xFFFF) for leg in (client, endpoint)]
    return made


def arriving(leg: Leg) -> abi.Flow:
    """Return the flow of the peer's packets as they arrive."""
    return abi.Flow(
        saddr=abi.addr(leg.peer[0]), daddr=abi.addr(leg.local[0]), sport=leg.peer[1], dport=leg.local[1], proto=TCP
    )


def leaving(leg: Leg) -> abi.Flow:
    """Return the flow of our own packets on it."""
    return abi.Flow(
        saddr=abi.addr(leg.local[0]), daddr=abi.addr(leg.peer[0]), sport=leg.local[1], dport=leg.peer[1], proto=TCP
    )


def end_of(id: int, made: Splice, direction: int) -> tuple[abi.Flow, SpliceEnd]:
    """Return an entry of `splice_ends`: the client's (0) or the endpoint's (1)."""
    return made.from_[direction], SpliceEnd(id=id, generation=made.generation, direction=direction)


def _word(number: int) -> int:
    return number & 0xFFFFFFFF
