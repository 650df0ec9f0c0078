"""Waiting for the address of a name."""

import asyncio

import pytest

from userspace.errors import LbError
from userspace.proxy import naming as module
from userspace.proxy.naming import Naming


async def test_a_known_name_is_answered_at_once_by_one_of_its_addresses() -> None:
    naming = Naming(asyncio.get_running_loop(), {"a.example": ("10.0.0.1", "10.0.0.2")})
    assert {await naming.address_of("a.example") for _ in range(100)} == {"10.0.0.1", "10.0.0.2"}


async def test_an_unknown_name_is_waited_for_by_all_who_ask() -> None:
    addresses: dict[str, tuple[str, ...]] = {}
    naming = Naming(asyncio.get_running_loop(), addresses)
    first, second = (asyncio.ensure_future(naming.address_of("a.example")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()  # its time-out: that of one is not that of the other
    addresses["a.example"] = ("10.0.0.1",)
    naming.answered(["a.example", "b.example"])
    assert await second == "10.0.0.1"


async def test_a_name_without_address_is_refused() -> None:
    addresses: dict[str, tuple[str, ...]] = {"a.example": ()}
    naming = Naming(asyncio.get_running_loop(), addresses)
    with pytest.raises(LbError, match="resolve_failed"):
        await naming.address_of("a.example")
    waiting = asyncio.ensure_future(naming.address_of("b.example"))
    await asyncio.sleep(0)
    addresses["b.example"] = ()
    naming.answered(["b.example"])
    with pytest.raises(LbError, match="resolve_failed"):
        await waiting


async def test_a_name_that_is_dropped_while_somebody_waits_is_waited_for_on() -> None:
    addresses: dict[str, tuple[str, ...]] = {}
    naming = Naming(asyncio.get_running_loop(), addresses)
    waiting = asyncio.ensure_future(naming.address_of("a.example"))
    await asyncio.sleep(0)
    naming.answered(["a.example"])
    addresses["a.example"] = ("10.0.0.1",)
    naming.answered(["a.example"])
    assert await waiting == "10.0.0.1"


async def test_the_checker_is_asked_once_a_second_while_anybody_wants_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    naming = Naming(asyncio.get_running_loop(), {}, asked.append)
    waiting = [asyncio.ensure_future(naming.address_of("a.example")) for _ in range(5)]
    await asyncio.sleep(0)
    assert asked == ["a.example"]
    monkeypatch.setattr(module, "ASK_AGAIN", 0.0)
    waiting.append(asyncio.ensure_future(naming.address_of("a.example")))
    await asyncio.sleep(0)
    assert asked == ["a.example", "a.example"]
    for each in waiting:
        each.cancel()
