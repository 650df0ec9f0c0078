"""A hostile client on spliced connections: what the endpoint gets, byte by byte, is what was decided."""

import contextlib
import http.client
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.netns import record_requests
from tests.netns.attacks import ALLOWED, HEADS, HOST, PLAIN, Attempt, attempts, violation
from tests.netns.conftest import built
from tests.netns.hostile_tcp import Connection, HostileClient, Piece, hostile_client
from tests.netns.observe import drops, eventually, grown, kept
from tests.netns.record_requests import DECIDED, SPLICED
from tests.netns.splices import EMPTY, GW1, publish, put
from tests.said import SAID
from userspace.lab import client as lab_client
from userspace.lab.exec import connect, spawn
from userspace.lab.lab import Lab
from userspace.lab.topology import Topology

pytestmark = [pytest.mark.netns, pytest.mark.apart]
PORT = 9001
ATTEMPTS = attempts()
AT_ONCE = 100
BESIDE = 4  # legitimate connections
AGAIN = (
    0.05,
    0.2,
)  # seconds until all is sent once more: what was dropped is taken then; the second is past a deadline


def test_an_endpoint_that_got_something_forbidden_would_be_found_out() -> None:
    decided = ALLOWED.replace(b"Host", b"X-Forwarded-For: a\r\nHost")
    announced = [name for name in HEADS if name.startswith("a length beyond")]  # and never sent
    for stream in (ALLOWED, ALLOWED + decided, HEADS["as a body, and behind it"][: -len(PLAIN)]):
        assert violation(stream) == ""
    for name, head in HEADS.items():
        assert bool(violation(ALLOWED + head)) == (name not in announced), name
    assert violation(PLAIN[:9]) and violation(ALLOWED + PLAIN[:-1])


def test_the_attempts_are_many_and_all_of_them_different() -> None:
    assert len({attempt.pieces for attempt in ATTEMPTS}) >= 300


@pytest.fixture(scope="module")
def lab(region: Topology) -> Iterator[Lab]:
    for lab in built("e2eattacks", region):
        publish(lab)
        yield lab


@pytest.fixture(scope="module")
def recorded(lab: Lab) -> Path:
    """Where an endpoint keeps what it gets; a route leads there, and others, which refuse, go before it."""
    directory = lab.state / "recorded"
    directory.mkdir()
    argv = [sys.executable, str(Path(record_requests.__file__)), str(PORT), str(directory)]
    spawn(lab, "web1", "recording", argv)
    host, web1 = HOST.decode(), str(lab.topology.machines["web1"].address)

    def listens() -> bool:
        with contextlib.suppress(OSError), connect(lab, "client", (web1, PORT)):
            return True
        return False

    eventually("the endpoint listens", listens)
    put(lab, "/apisix/admin/upstreams/attacked", {"type": "roundrobin", "nodes": {f"{web1}:{PORT}": 1}})
    route = {"host": host, "uri": "/*", "splice": "auto"}
    refused = {**route, "upstream": EMPTY, "priority": 9}
    put(lab, "/apisix/admin/routes/attacked-path", {**refused, "uri": "/forbidden*"})
    put(lab, "/apisix/admin/routes/attacked-method", {**refused, "methods": ["DELETE"]})
    put(lab, "/apisix/admin/routes/attacked-header", {**refused, "vars": [["http_x_role", "==", "banned"]]})
    put(lab, "/apisix/admin/routes/attacked", {**route, "upstream_id": "attacked"})

    def is_routed() -> bool:
        headers = {"Host": host}
        url = f"http://{GW1}/permitted"
        return all(lab_client.request(lab, "client", "GET", url, headers=headers).status == 200 for _ in range(8))

    eventually("every worker knows the route", is_routed)
    return directory


@dataclass
class Beside:
    """Clients that keep the rules, each on a connection that the kernel carries."""

    lab: Lab
    answered: Counter[bytes] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        with kept(self.lab, GW1) as connection:
            while not self.stop.is_set():
                try:
                    connection.request("GET", "/permitted", headers={"Host": HOST.decode()})
                    response = connection.getresponse()
                    body = response.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(repr(error))
                    return
                if response.status != 200:
                    self.failed.append(f"{response.status} {body!r}")
                self.answered[body] += 1
                time.sleep(0.005)


@contextlib.contextmanager
def beside(lab: Lab) -> Iterator[Beside]:
    found = Beside(lab)
    threads = [threading.Thread(target=found.work) for _ in range(BESIDE)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        for thread in threads:
            thread.join()


def attack(client: HostileClient, batch: list[tuple[Attempt, Connection]]) -> None:
    """Send what each attempt is made of, piece by piece in turn, and all of it again, as TCP repeats what is lost."""
    for pause in (0, *AGAIN):
        client.pump(pause)
        for number in range(max(len(attempt.pieces) for attempt, _ in batch)):
            for attempt, connection in batch:
                if number < len(attempt.pieces):
                    client.send(connection, attempt.pieces[number])
    client.pump(0.1)


def outcome(connection: Connection, before: int) -> str:
    """What the client has seen of its attempt."""
    got = bytes(connection.received[before:])
    if got:
        return got[9:12].decode() + (" carried" if SPLICED in got else "")
    return "reset" if connection.is_reset else "nothing"


def until_carried(client: HostileClient, connections: list[Connection]) -> None:
    waiting = connections
    for _ in range(20):
        client.ask(waiting, ALLOWED, lambda got: got.endswith((SPLICED, DECIDED)))
        waiting = [c for c in waiting if not c.received.endswith(SPLICED)]
        if not waiting:
            break
    assert not waiting, f"{len(waiting)} connections are not spliced"


@pytest.mark.usefixtures("recorded")
def test_a_blind_reset_ends_no_spliced_connection(lab: Lab) -> None:
    """Near the number that the endpoint expects it is challenged there; a damaged one nobody takes."""
    near = [Piece(at, b"", "R") for at in (1, 1000, 1 << 19, -1)]
    with hostile_client(lab, GW1) as client:
        [connection] = client.connect(1)
        until_carried(client, [connection])
        for reset in (*near, Piece(0, b"", "R", checksum=1)):
            client.send(connection, reset)
            client.ask([connection], ALLOWED, lambda got: got.endswith(SPLICED))
            client.send(connection, reset)
        client.ask([connection], PLAIN, lambda got: got[9:12] == b"503")  # it comes back
        assert not connection.is_reset


def test_no_attempt_gets_past_the_guard_and_others_are_served(lab: Lab, recorded: Path) -> None:
    before = drops(lab, "gw1")
    by_way: dict[str, Counter[str]] = {}
    with beside(lab) as others, hostile_client(lab, GW1) as client:
        for start in range(0, len(ATTEMPTS), AT_ONCE):
            chosen = ATTEMPTS[start : start + AT_ONCE]
            connections = client.connect(len(chosen))
            until_carried(client, connections)
            seen = {connection: len(connection.received) for connection in connections}
            attack(client, list(zip(chosen, connections, strict=True)))
            for attempt, connection in zip(chosen, connections, strict=True):
                by_way.setdefault(attempt.way, Counter())[outcome(connection, seen[connection])] += 1
                client.send(connection, Piece(0, b"", "R"))
        sent = client.sent
    streams = [file.read_bytes() for file in recorded.iterdir()]
    assert [found for stream in streams if (found := violation(stream))] == []
    assert others.failed == [] and others.answered[SPLICED] > 10 * BESIDE
    total: Counter[str] = sum(by_way.values(), Counter())
    served = sum(others.answered.values())
    SAID.append(f"{len(ATTEMPTS)} attempts by {len(by_way)} ways, {sent} segments: none got past the guard")
    SAID.append(f"their clients saw {dict(total)}; gw1 dropped {grown(before, drops(lab, 'gw1'))}")
    SAID.append(f"{served} requests of others beside them: all answered")
