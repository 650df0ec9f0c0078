"""Waiting for the address of a name."""

import asyncio

import pytest

from userspace.errors import LbError
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
    naming.answered(["b.example"])
    with pytest.raises(LbError, match="resolve_failed"):
        await waiting
