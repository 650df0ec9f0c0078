"""Between the node and who logs spliced requests: what either is told."""

import asyncio
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.node.splice_maps import splice_maps
from userspace.config.settings import Settings
from userspace.node import splice_lines as module
from userspace.node.maps import Table
from userspace.node.splice_abi import Splice
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_lines import MAX_LOOKED_UP, SpliceLines
from userspace.wire import Message

pytestmark = pytest.mark.bpf


class FakeChild:
    """A process that is not there."""

    pid = 77
    is_there = True

    def __init__(
        self,
        name: str,
        program: str,
        arguments: Sequence[str],
        on_start: Callable[[], None],
        on_message: Callable[[Message], None],
        on_end: Callable[[], None],
    ) -> None:
        self.program, self.arguments = program, list(arguments)
        self.starts, self.says, self.ends = on_start, on_message, on_end
        self.told: list[Message] = []
        self._stopped = asyncio.Event()

    def send(self, message: Message) -> None:
        self.told.append(message)

    async def keep(self) -> None:
        await self._stopped.wait()

    async def stop(self) -> None:
        self._stopped.set()


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[SpliceAccounts]:
    with splice_maps() as tables:
        counts: Table = tables["splice_counts"]
        yield SpliceAccounts(counts, tmp_path / "names", lambda index: False)


def lines(accounts: SpliceAccounts, monkeypatch: pytest.MonkeyPatch) -> tuple[SpliceLines, Any]:
    monkeypatch.setattr(module, "Child", FakeChild)
    made = SpliceLines(
        *(Settings(access_log="/var/log/a"), "nobody", Path("/ring"), Path("/state")),
        lambda id: (Splice(generation=id, requests=7), b"HTTP/1.1"),
        accounts,
    )
    return made, made._child


async def test_it_is_told_whose_accounts_are_and_become(
    accounts: SpliceAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.of(("r1", "u1", "10.0.0.1:80"))
    found, child = lines(accounts, monkeypatch)
    found.start()
    child.starts()
    accounts.of(("r2", "u2", "100.64.0.2:80"), "blue")
    accounts.of(("r2", "u2", "100.64.0.2:80"), "blue")
    assert child.told == [
        {"type": "owners", "owners": [(1, "r1", "u1", "10.0.0.1:80", None)]},
        {"type": "owners", "owners": [(2, "r2", "u2", "100.64.0.2:80", "blue")]},
    ]
    assert child.program == "userspace.spliced.process"
    assert child.arguments[2:] == ["--ring", "/ring", "--state", "/state", "--user", "nobody"]
    await found.stop()
    accounts.of(("r3", "u3", "10.0.0.3:80"))
    assert len(child.told) == 2


async def test_it_is_answered_what_the_kernel_has_of_silent_splices(
    accounts: SpliceAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, child = lines(accounts, monkeypatch)
    child.says({"type": "silent", "ids": list(range(1, 2 * MAX_LOOKED_UP))})
    (answer,) = child.told
    assert [id for id, *_ in answer["splices"]] == list(range(1, MAX_LOOKED_UP + 1))
    splice = Splice.from_buffer_copy(b64decode(answer["splices"][4][1]))
    assert (splice.generation, splice.requests, b64decode(answer["splices"][4][2])) == (5, 7, b"HTTP/1.1")


async def test_it_is_told_what_the_node_has_ended_as_soon_as_it_is_there(
    accounts: SpliceAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNTOLD", 2)
    found, child = lines(accounts, monkeypatch)
    began = time.monotonic_ns()
    child.is_there = False
    for id in (1, 2, 3):
        found.ended(id, Splice(generation=id), "idle")
    assert (child.told, found.dropped) == ([], 1)
    child.is_there = True
    child.starts()
    found.ended(4, Splice(generation=4), "killed")
    assert child.told[0]["type"] == "owners"
    assert [(one["type"], one["id"], one["why"]) for one in child.told[1:]] == [
        ("ended", 1, "idle"),
        ("ended", 2, "idle"),
        ("ended", 4, "killed"),
    ]
    for one in child.told[1:]:
        assert Splice.from_buffer_copy(b64decode(one["splice"])).generation == one["id"]
        assert began <= one["at_ns"] <= time.monotonic_ns()


async def test_what_it_counts_outlives_it(accounts: SpliceAccounts, monkeypatch: pytest.MonkeyPatch) -> None:
    found, child = lines(accounts, monkeypatch)
    child.says({"type": "counted", "lines": 5, "dropped": 1})
    child.says({"type": "counted", "lines": 9, "dropped": 2})
    child.ends()
    assert (found.lines, found.dropped, found.pid) == (9, 2, 77)
    child.says({"type": "counted", "lines": 1, "dropped": 0})
    assert (found.lines, found.dropped) == (10, 2)
