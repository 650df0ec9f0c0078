"""Hand-over of real sockets: what is written, in which order, and that a refusal leaves everything as it was."""

import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ctypes import c_uint32
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.userspace.node.legs import is_silent, read, until
from tests.userspace.node.splice_maps import HERE, UNIQUE_IP, Region, region, splice_maps
from userspace.node import abi, resets, splice_plan, tcp_leg
from userspace.node.abi import Direction
from userspace.node.handing_over import HandingOver, Refused, is_tail_written
from userspace.node.maps import Table
from userspace.node.routes import Routes
from userspace.node.splice_abi import STICKY, Flag, Guard, Kind, Splice, SpliceEnd, State
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_guard import SpliceGuard
from userspace.node.splice_held import Held
from userspace.node.splice_table import SpliceTable
from userspace.node.splice_wire import Logged, SpliceRequest
from userspace.node.toa_peers import ToaPeers

pytestmark = pytest.mark.bpf
TAIL = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Node:
    """A node's side, and the two connections of an exchange that has just been answered."""

    tables: dict[str, Table]
    table: SpliceTable
    guard: SpliceGuard
    over: HandingOver
    client: socket.socket
    from_client: socket.socket
    endpoint: socket.socket
    to_endpoint: socket.socket

    def asked(self, **changes: object) -> SpliceRequest:
        fields: dict[str, object] = {
            "tag": 1,
            "kind": Kind.GUARDED,
            "tail": len(TAIL),
            "edition": self.guard.edition,
            "owner": ("r1", "u1", "10.9.0.3:80"),
            "guard": Guard(mask=5, decision=9),
            "client": None,
        }
        return SpliceRequest(**(fields | changes))  # type: ignore[arg-type]

    def splice(self, **changes: object) -> Held:
        return self.over.splice("0", self.asked(**changes), self.from_client, self.to_endpoint)

    def refusal(self, **changes: object) -> str:
        with pytest.raises(Refused) as raised:
            self.splice(**changes)
        return str(raised.value)

    def entries(self) -> dict[str, int]:
        return {name: len(self.tables[name].items()) for name in ("splice_ends", "sessions")}


@pytest.fixture(scope="module")
def place() -> Iterator[Region]:
    with region() as found:
        yield found


def node_at(place: Region, tables: dict[str, Table], path: Path, stack: ExitStack, address: str | None = None) -> Node:
    client, from_client = place.accepted()
    endpoint, to_endpoint = place.connected(address) if address else place.connected()
    for sock in (client, from_client, endpoint, to_endpoint):
        stack.enter_context(sock)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    to_endpoint.sendall(from_client.recv(100))
    endpoint.recv(100)
    endpoint.sendall(TAIL)
    to_endpoint.recv(100)
    accounts = SpliceAccounts(tables["splice_counts"], path / "accounts", lambda index: True)
    table, guard = SpliceTable(tables), SpliceGuard(tables, accounts.of_upstreams)
    routes = Routes()
    stack.callback(routes.close)
    peers, sent = ToaPeers(None), list[int]()
    over = HandingOver(
        table, guard, accounts, routes, peers, place.device, lambda _, packets: sent.append(resets.send(packets))
    )
    return Node(tables, table, guard, over, client, from_client, endpoint, to_endpoint)


@pytest.fixture
def node(place: Region, tmp_path: Path) -> Iterator[Node]:
    with splice_maps() as tables, ExitStack() as stack:
        yield node_at(place, tables, tmp_path, stack)


def test_both_ends_lead_to_a_splice_of_their_numbers(node: Node) -> None:
    near, far = read(node.client), read(node.endpoint)
    held = node.splice()
    splice = node.table.get(held.id)
    assert (splice.state, splice.kind, splice.generation) == (State.TAIL, Kind.GUARDED, held.generation)
    assert splice.head == near.send_next
    assert near.send_next + splice.delta[0] & 0xFFFFFFFF == far.receive_next
    assert far.send_next + splice.delta[1] & 0xFFFFFFFF == near.receive_next + len(TAIL) & 0xFFFFFFFF
    assert (splice.guard.mask, splice.guard.decision, splice.epoch) == (5, 9, node.guard.epoch)
    assert splice.account == held.account == 1
    for way, leg in enumerate((near, far)):
        end = node.tables["splice_ends"].get(splice_plan.leaving(leg))
        assert end == bytes(SpliceEnd(id=held.id, generation=held.generation, direction=way))
    # The worker closes its own, in its own time; nobody hears of it.
    node.to_endpoint.close()
    assert is_silent(node.endpoint)
    held.release()
    assert is_silent(node.endpoint)


def test_what_the_access_log_says_goes_into_the_splice(node: Node) -> None:
    held = node.splice(log=Logged(12, "none", "blue"))
    splice = node.table.get(held.id)
    assert (splice.logged, splice.revision) == (1 + STICKY.index("none"), 12)
    assert (abi.text(splice.client), splice.client_port) == node.client.getsockname()
    held.release()


def test_an_endpoint_sends_no_more_than_the_client_takes(node: Node) -> None:
    """A tail as long as the client's window: there is no room for an answer until the client says so again."""
    assert taken_by_peer(node.endpoint) > 30_000
    node.splice(tail=taken_by_peer(node.from_client))
    until(lambda: taken_by_peer(node.endpoint) == 0)


def test_what_cannot_be_told_takes_no_splice_back(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "no descriptor for a raw socket")

    monkeypatch.setattr(node.over, "_tell", fail)
    held = node.splice(tail=taken_by_peer(node.from_client))
    assert node.table.get(held.id).state == State.TAIL
    assert node.entries()["splice_ends"] == 2


def taken_by_peer(sock: socket.socket) -> int:
    """Return tcpi_snd_wnd."""
    return int(struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 228)[0])


def test_the_tail_is_delivered_and_repeated_by_the_clients_socket(node: Node) -> None:
    held = node.splice()
    assert not is_tail_written(held)
    tcp_leg.mute(node.client)  # it gets lost once
    node.from_client.sendall(TAIL)
    assert is_tail_written(held)
    tcp_leg.unmute(node.client)
    assert node.client.recv(100) == TAIL
    held.forget_client()
    assert is_silent(node.client)
    with pytest.raises(OSError):
        node.from_client.send(b"x")
    held.release()


def test_what_arrives_after_the_hand_over_reaches_neither_socket(node: Node) -> None:
    held = node.splice()
    node.client.sendall(b"GET /next")
    node.endpoint.sendall(b"HTTP/1.1 408")
    time.sleep(0.01)
    assert tcp_leg.is_as_read(node.from_client, read(node.from_client))
    for far in (node.client, node.endpoint):
        assert read(far).unacked > 0
    held.release()


@pytest.mark.parametrize(
    ("reason", "changes"),
    [("epoch", {"edition": 99}), ("tail", {"tail": 1 << 31})],
)
def test_a_refused_pair_goes_on_as_it_was(node: Node, reason: str, changes: dict[str, object]) -> None:
    assert node.refusal(**changes) == reason
    assert node.entries() == {"splice_ends": 0, "sessions": 0}
    node.from_client.sendall(TAIL)
    assert node.client.recv(100) == TAIL
    node.client.sendall(b"more")
    assert node.from_client.recv(100) == b"more"
    node.endpoint.sendall(b"and")
    assert node.to_endpoint.recv(100) == b"and"
    assert node.table.take() is not None


def test_a_tunnel_is_spliced_while_the_configuration_changes(node: Node) -> None:
    node.splice(kind=Kind.OPAQUE, guard=Guard(), edition=99)
    assert node.entries()["splice_ends"] == 2


def test_bytes_that_wait_are_not_lost_to_a_splice(node: Node) -> None:
    node.client.sendall(b"pipelined")
    node.from_client.recv(1, socket.MSG_PEEK)
    assert node.refusal() == "busy"
    assert node.from_client.recv(100) == b"pipelined"


def test_what_arrives_while_it_is_written_takes_it_all_back(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_leg, "is_as_read", lambda sock, leg: False)
    assert node.refusal() == "busy"
    assert node.entries() == {"splice_ends": 0, "sessions": 0}
    node.client.sendall(b"more")
    assert node.from_client.recv(100) == b"more"


def test_a_full_table_refuses(node: Node) -> None:
    while node.table.take() is not None:
        pass
    assert node.refusal() == "full"


def test_another_device_than_the_underlay_refuses(place: Region, tmp_path: Path) -> None:
    with splice_maps() as tables, ExitStack() as stack:
        node = node_at(place, tables, tmp_path, stack)
        node.over._underlay = place.device + 1
        assert node.refusal() == "route"


def in_a_vpc(node: Node) -> tuple[abi.Flow, abi.Flow]:
    """Write what the datapath has of the endpoint's connection; return the keys of its session."""
    leg = read(node.to_endpoint)
    forward = splice_plan.leaving(leg)
    reply = abi.Flow(
        saddr=abi.addr("192.168.0.10"), daddr=abi.addr("198.18.1.1"), sport=80, dport=6000, vni=10010, proto=6
    )
    node.tables["endpoints"].put(abi.addr(UNIQUE_IP), abi.Endpoint(addr=abi.addr("192.168.0.10"), vni=10010))
    common = {"tcp_seen": 3, "account": 4}
    node.tables["sessions"].put(
        forward, abi.Session(peer=reply, direction=Direction.FORWARD, tunnel_sport=50001, **common)
    )
    node.tables["sessions"].put(reply, abi.Session(peer=forward, direction=Direction.REPLY, **common))
    return forward, reply


def test_an_endpoint_in_a_vpc_keeps_its_session_as_the_splices(place: Region, tmp_path: Path) -> None:
    with splice_maps() as tables, ExitStack() as stack:
        node = node_at(place, tables, tmp_path, stack, UNIQUE_IP)
        forward, reply = in_a_vpc(node)
        held = node.splice()
        splice = Splice.from_buffer_copy(tables["splices"].get(c_uint32(held.id)) or b"")
        assert splice.flags & Flag.VPC
        assert (abi.text(splice.unique_ip), splice.tunnel_sport) == (UNIQUE_IP, 50001)
        assert bytes(splice.from_[1]) == bytes(reply)
        assert tables["sessions"].get(forward) is None
        session = abi.Session.from_buffer_copy(tables["sessions"].get(reply) or b"")
        assert (session.direction, session.target) == (Direction.SPLICED, held.id)
        assert (session.target_generation, session.account) == (held.generation, 4)
        assert len(tables["splice_ends"].items()) == 1
        held.release()
        node.table.remove(held.id, splice)
        assert node.entries() == {"splice_ends": 0, "sessions": 0}


def test_a_refused_one_in_a_vpc_has_its_session_back(
    place: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with splice_maps() as tables, ExitStack() as stack:
        node = node_at(place, tables, tmp_path, stack, UNIQUE_IP)
        in_a_vpc(node)
        before = dict(tables["sessions"].items())
        monkeypatch.setattr(tcp_leg, "is_as_read", lambda sock, leg: False)
        assert node.refusal() == "busy"
        assert dict(tables["sessions"].items()) == before


def test_a_unique_ip_without_a_session_refuses(place: Region, tmp_path: Path) -> None:
    with splice_maps() as tables, ExitStack() as stack:
        node = node_at(place, tables, tmp_path, stack, UNIQUE_IP)
        tables["endpoints"].put(abi.addr(UNIQUE_IP), abi.Endpoint(vni=10010))
        assert node.refusal() == "session"


def test_a_hand_over_takes_less_than_a_millisecond(place: Region, tmp_path: Path) -> None:
    with splice_maps() as tables, ExitStack() as stack:
        took = []
        for _ in range(5):
            node = node_at(place, tables, tmp_path, stack)
            started = time.perf_counter()
            held = node.splice()
            took.append(time.perf_counter() - started)
            stack.callback(held.release)
        assert min(took) < 0.001
        assert node.from_client.getsockname()[0] == HERE
