"""A splice's numbers: two model ends send to each other through the rewrite, and each sees a stream without a seam."""

from dataclasses import replace

import pytest

from userspace.node import abi, splice_plan
from userspace.node.splice_abi import Flag, Guard, Kind, Splice, State
from userspace.node.splice_plan import Asked, Tunnel
from userspace.node.tcp_leg import ESTABLISHED, Leg, Option

MODERN = Option.TIMESTAMPS | Option.SACK | Option.WSCALE
CLIENT = Leg(
    local=("10.1.0.11", 80),
    peer=("203.0.113.9", 40000),
    state=ESTABLISHED,
    options=MODERN,
    send_scale=7,
    receive_scale=9,
    mss=1460,
    window=64256,
    receive_window=65000,
    unread=0,
    unacked=0,
    received=100,
    receive_next=1_000,
    send_next=5_000,
    clock=70_000,
    upper="",
    is_mptcp=False,
)
ENDPOINT = replace(
    CLIENT,
    local=("10.1.0.11", 50000),
    peer=("10.1.0.21", 8080),
    send_scale=10,
    receive_scale=3,
    mss=1410,
    window=65536 << 10,
    receive_next=9_000,
    send_next=2_000,
    clock=80_000,
)
ASKED = Asked(Kind.GUARDED, 300, 7, Guard(mask=5, decision=42))
TOP = 0xFFFFFFFF


def made(client: Leg = CLIENT, endpoint: Leg = ENDPOINT, asked: Asked = ASKED) -> Splice:
    return splice_plan.splice(client, endpoint, asked, generation=3, account=2, now_ns=10**9)


def carried(splice: Splice, way: int, seq: int, ack: int) -> tuple[int, int]:
    """Return the numbers of a packet as its receiver sees them."""
    return seq + splice.delta[way] & TOP, ack - splice.delta[1 - way] & TOP


@pytest.mark.parametrize(
    ("receive_next", "send_next", "endpoint_receives", "endpoint_sends", "tail"),
    [
        (1_000, 5_000, 9_000, 2_000, 300),
        (TOP, 5_000, 9_000, 2_000, 300),
        (1_000, TOP - 299, 9_000, 2_000, 300),  # the tail ends where the numbers begin anew
        (1_000, TOP, 9_000, 2_000, 1 << 24),
        (1_000, 5_000, TOP, 0, 0),
        (0, 0, 0, 0, 1),
        (TOP, TOP, TOP, TOP, 1),
        (0x80000000, 0x7FFFFFFF, 1, TOP, 17),
    ],
)
def test_each_end_sees_one_stream(
    receive_next: int, send_next: int, endpoint_receives: int, endpoint_sends: int, tail: int
) -> None:
    client = replace(CLIENT, receive_next=receive_next, send_next=send_next)
    endpoint = replace(ENDPOINT, receive_next=endpoint_receives, send_next=endpoint_sends)
    splice = made(client, endpoint, replace(ASKED, tail=tail))
    read_all = send_next + tail & TOP  # what the client acknowledges once it has the tail
    assert carried(splice, 0, receive_next, read_all) == (endpoint_sends, endpoint_receives)
    assert carried(splice, 1, endpoint_receives, endpoint_sends) == (read_all, receive_next)
    # Ten bytes each way later it still holds.
    assert carried(splice, 0, receive_next + 10 & TOP, read_all + 10 & TOP) == (
        endpoint_sends + 10 & TOP,
        endpoint_receives + 10 & TOP,
    )
    assert splice.tail_end == splice.acked[0] == read_all
    assert (splice.head, splice.end[0], splice.end[1]) == (receive_next, receive_next, endpoint_receives)
    assert splice.acked[1] == endpoint_sends


def test_windows_clocks_and_segment_sizes_are_of_the_way_they_are_of() -> None:
    splice = made()
    assert (list(splice.scale_from), list(splice.scale_to)) == ([7, 10], [3, 9])
    assert list(splice.window) == [64256 >> 7, 0xFFFF]
    assert list(splice.clock_base) == [80_000, 70_000]
    assert list(splice.mss) == [1460, 1410]
    assert splice.sack == 1
    assert splice.flags == Flag.TIMESTAMPS
    assert (splice.created_ns, splice.last_seen_ns) == (10**9, 10**9)
    assert (splice.account, splice.epoch, splice.generation) == (2, 7, 3)
    assert (splice.guard.mask, splice.guard.decision) == (5, 42)


def test_a_pair_without_options_has_neither_clock_nor_sack() -> None:
    splice = made(replace(CLIENT, options=0), replace(ENDPOINT, options=0))
    assert (splice.flags, splice.sack, list(splice.clock_base)) == (0, 0, [0, 0])


def test_a_splice_whose_tail_is_not_acknowledged_waits_for_it() -> None:
    assert made().state == State.TAIL
    nothing = replace(ASKED, tail=0)
    assert made(asked=nothing).state == State.ACTIVE
    assert made(replace(CLIENT, unacked=5), asked=nothing).state == State.TAIL


def test_both_flows_find_it_with_their_direction() -> None:
    splice = made()
    (client, there), (endpoint, back) = (splice_plan.end_of(9, splice, way) for way in (0, 1))
    assert (abi.text(client.saddr), client.sport, abi.text(client.daddr), client.dport) == (
        *("203.0.113.9", 40000),
        *("10.1.0.11", 80),
    )
    assert (abi.text(endpoint.saddr), endpoint.sport, abi.text(endpoint.daddr), endpoint.dport) == (
        *("10.1.0.21", 8080),
        *("10.1.0.11", 50000),
    )
    assert (there.id, there.generation, there.direction) == (9, 3, 0)
    assert (back.id, back.generation, back.direction) == (9, 3, 1)
    assert client.vni == endpoint.vni == 0


def test_an_endpoint_in_a_vpc_is_found_by_its_own_flow() -> None:
    reply = abi.Flow(saddr=abi.addr("192.168.0.10"), daddr=abi.addr("198.18.1.1"), sport=80, dport=6000, vni=10010)
    splice = splice_plan.splice(CLIENT, ENDPOINT, ASKED, 1, 0, 1, Tunnel(abi.addr("100.64.0.1"), reply, 50001))
    assert bytes(splice.from_[1]) == bytes(reply)
    assert (abi.text(splice.unique_ip), splice.tunnel_sport) == ("100.64.0.1", 50001)
    assert splice.flags == Flag.TIMESTAMPS | Flag.VPC


def test_a_pair_of_plain_connections_may_be_spliced() -> None:
    assert splice_plan.refusal(CLIENT, ENDPOINT, 300) is None
    without = {"options": 0}
    assert splice_plan.refusal(replace(CLIENT, **without), replace(ENDPOINT, **without, clock=1), 0) is None
    # The client's leg may have bytes on their way, the window scales may differ.
    assert splice_plan.refusal(replace(CLIENT, unacked=5000), ENDPOINT, 300) is None


@pytest.mark.parametrize(
    ("reason", "client", "endpoint", "tail"),
    [
        ("state", {"state": 8}, {}, 1),
        ("state", {}, {"state": 7}, 1),
        ("upper", {"upper": "tls"}, {}, 1),
        ("mptcp", {}, {"is_mptcp": True}, 1),
        ("family", {"peer": ("2001:db8::1", 1), "local": ("2001:db8::2", 2)}, {}, 1),
        ("local", {"peer": ("127.0.0.1", 1)}, {}, 1),
        ("local", {}, {"local": ("127.0.0.9", 1)}, 1),
        ("local", {"peer": ("fe80::1", 1)}, {"peer": ("2001:db8::1", 1)}, 1),
        ("options", {"options": MODERN & ~Option.TIMESTAMPS}, {}, 1),
        ("options", {}, {"options": MODERN & ~Option.SACK}, 1),
        ("ecn", {"options": MODERN | Option.ECN}, {"options": MODERN | Option.ECN}, 1),
        ("ecn", {}, {"options": MODERN | Option.ECN}, 1),
        ("clock", {"clock": 70_001}, {}, 1),
        ("clock", {}, {"options": MODERN | Option.MICROSECONDS}, 1),
        ("busy", {"unread": 1}, {}, 1),
        ("busy", {}, {"unread": 1}, 1),
        ("unacknowledged", {}, {"unacked": 1}, 1),
        ("tail", {}, {}, -1),
        ("tail", {}, {}, (1 << 24) + 1),
    ],
)
def test_every_refusal_has_a_name(
    reason: str, client: dict[str, object], endpoint: dict[str, object], tail: int
) -> None:
    assert splice_plan.refusal(replace(CLIENT, **client), replace(ENDPOINT, **endpoint), tail) == reason  # type: ignore[arg-type]


def test_who_is_there_and_what_is_logged_is_written_with_it() -> None:
    plain, told = made(), made(asked=replace(ASKED, client=("198.51.100.4", 4711), logged=2, revision=77))
    assert (abi.text(plain.client), plain.client_port) == CLIENT.peer
    assert (plain.logged, plain.revision) == (0, 0)
    assert (abi.text(told.client), told.client_port, told.logged, told.revision) == ("198.51.100.4", 4711, 2, 77)
