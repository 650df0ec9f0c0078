"""Spliced connections by every way through the region: both families, VPCs, L4 nodes of both modes, TC and XDP."""

import contextlib
import hashlib
import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.netns import splice_paths
from tests.netns.conftest import built
from tests.netns.crowd import echoes, upgraded
from tests.netns.observe import Log, drops, eventually, kept, metrics
from tests.netns.splice_paths import Row
from userspace.lab import nginx
from userspace.lab.client import request
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns
TURNS, SIZE = 10, 200 << 10
REGION = splice_paths.both_families()
ROWS = splice_paths.rows(REGION)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for lab in built("e2epaths", REGION):
        with splice_paths.published(lab, ROWS):
            yield lab


def carried(lab: Lab, row: Row) -> float:
    """Requests of a row's route that its gateway's kernel has carried."""
    beginning = f"unilb_splice_requests_total route={row.name} "
    return sum(n for sample, n in metrics(lab, row.gateway).items() if sample.startswith(beginning))


def made(lab: Lab, row: Row, kind: str) -> float:
    return metrics(lab, row.gateway).get(f"unilb_splices_made_total kind={kind}", 0)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Talk:
    """Requests of a row over one connection; `told`: the path of each."""

    def __init__(self, row: Row, connection: http.client.HTTPConnection) -> None:
        self.row = row
        self.connection = connection
        self.told: set[str] = set()

    def ask(self, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        path = f"{target}?{self.row.name}&{len(self.told)}"
        self.connection.request(method, path, body, {"Host": f"{self.row.name}.example.com"})
        response = self.connection.getresponse()
        self.told.add(path)
        return response.status, response.read()

    def who(self) -> dict[str, object]:
        status, body = self.ask("GET", "/who")
        assert status == 200, body
        found = json.loads(body)
        assert isinstance(found, dict)
        return found


@contextlib.contextmanager
def talking(lab: Lab, row: Row) -> Iterator[Talk]:
    """A connection that has had its first answer."""

    def answers() -> bool:
        with contextlib.suppress(OSError), kept(lab, row.address) as connection:
            return Talk(row, connection).ask("GET", "/who")[0] == 200
        return False

    eventually(f"{row.address} is served", answers)
    with kept(lab, row.address) as connection:
        yield Talk(row, connection)


def downloaded(lab: Lab, talk: Talk) -> None:
    """One path, and another body each time."""
    body, file = os.urandom(SIZE), nginx.directory(lab, talk.row.place) / "upload" / talk.row.name
    file.write_bytes(body)
    status, answer = talk.ask("GET", f"/upload/{talk.row.name}")
    file.unlink()
    assert (status, digest(answer)) == (200, digest(body))


def uploaded(_: Lab, talk: Talk) -> None:
    body = os.urandom(SIZE)
    status, answer = talk.ask("POST", "/sink", body)
    assert status == 200
    stored = Path(json.loads(answer)["stored"])
    assert digest(stored.read_bytes()) == digest(body)
    stored.unlink()


def becomes_spliced(lab: Lab, talk: Talk, way: Callable[[Lab, Talk], None]) -> None:
    """Go on that way until the kernel carries some of it."""
    before = carried(lab, talk.row)

    def begins() -> bool:
        way(lab, talk)
        return carried(lab, talk.row) > before

    eventually("it is spliced", begins)


def is_carried(lab: Lab, talk: Talk, way: Callable[[Lab, Talk], None]) -> None:
    """The kernel takes the connection, and then carries nearly all that goes one way."""
    becomes_spliced(lab, talk, way)
    before = carried(lab, talk.row)
    for _ in range(TURNS):
        way(lab, talk)
    assert carried(lab, talk.row) >= before + 0.9 * TURNS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_spliced_connection_carries_bodies_comes_back_and_is_spliced_again(lab: Lab, row: Row) -> None:
    with talking(lab, row) as talk:
        first = talk.who()
        assert (first["machine"], first["x_forwarded_for"]) == (row.place, row.client)
        is_carried(lab, talk, downloaded)
        assert talk.ask("GET", "/forbidden")[0] == 503
        is_carried(lab, talk, downloaded)
        is_carried(lab, talk, uploaded)  # another method is decided anew, once


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_tunnel_is_spliced_and_gives_back_what_it_is_sent(lab: Lab, row: Row) -> None:
    before = made(lab, row, "opaque")

    def is_open() -> bool:
        with contextlib.suppress(OSError):
            socks.append(stack.enter_context(upgraded(lab, row.address, f"tunnel.{row.name}.example.com")))
        return bool(socks)

    with contextlib.ExitStack() as stack:
        socks: list[socket.socket] = []
        eventually("it is routed", is_open)
        [sock] = socks
        eventually("it is spliced", lambda: made(lab, row, "opaque") > before)
        for size in (5, SIZE, 5):
            assert echoes(sock, size)


def asked(_: Lab, talk: Talk) -> None:
    talk.who()


def test_the_access_log_names_the_client_of_spliced_requests_whichever_way_it_came(lab: Lab) -> None:
    logs, talks = {gateway: Log(lab, gateway) for gateway in ("gw1", "gw2")}, []
    with contextlib.ExitStack() as stack:
        for row in ROWS:
            talks.append(stack.enter_context(talking(lab, row)))
            becomes_spliced(lab, talks[-1], asked)
            asked(lab, talks[-1])

    def lines(talk: Talk) -> list[dict[str, object]]:
        return [entry for entry in logs[talk.row.gateway].entries() if entry.get("path") in talk.told]

    for talk in talks:
        found = eventually(f"every line of {talk.row.name}", lambda t=talk: len(x := lines(t)) >= len(t.told) and x)
        assert {entry["client"] for entry in found} == {talk.row.client}
        assert any(entry.get("spliced") for entry in found)


@pytest.mark.parametrize("family", [4, 6])
def test_a_first_segment_of_any_length_names_its_client_behind_an_l4_node_on_xdp(lab: Lab, family: int) -> None:
    """By its length a frame has room behind it or none, which may not matter to the option that does."""
    row = next(row for row in ROWS if (row.family, row.entry, row.l4) == (family, "fnat", "l4b"))
    host = row.address if family == 4 else f"[{row.address}]"
    before = drops(lab, "l4b").get("internal", 0)
    for more in range(64):
        headers = {"Host": f"{row.name}.example.com", "X-More": "x" * more}
        answer = request(lab, "client", "GET", f"http://{host}/who", headers=headers).json()
        assert answer["x_forwarded_for"] == row.client
    assert drops(lab, "l4b").get("internal", 0) == before


@pytest.mark.parametrize(
    ("name", "address"), [("six1-straight-gw1", "10.1.0.11"), ("green1-straight-gw1", "fd10:1::11")]
)
def test_between_two_families_the_worker_stays_in_between_and_the_node_says_why(
    lab: Lab, name: str, address: str
) -> None:
    row = replace(next(row for row in ROWS if row.name == name), address=address)
    refused = "unilb_splice_refused_total reason=family"
    before = metrics(lab, "gw1").get(refused, 0)
    with talking(lab, row) as talk:
        for _ in range(4):
            assert talk.who()["machine"] == row.place
    assert metrics(lab, "gw1").get(refused, 0) > before
