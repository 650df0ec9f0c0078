import asyncio

from userspace.node import shown
from userspace.node.shown import Shown


class Node:
    """Counts how often it is asked; making the text takes `cost` seconds."""

    def __init__(self, cost: float = 0.0, text: bytes = b"a 1\n") -> None:
        self.now = 100.0
        self.made = self.refreshed = 0
        self.cost = cost
        self.content = text
        self.shown = Shown(self.fresh, self.render, lambda: self.now, lambda: self.now)

    async def fresh(self) -> None:
        self.refreshed += 1

    def render(self) -> bytes:
        self.made += 1
        self.now += self.cost
        return self.content


async def test_all_who_come_meanwhile_get_one_text() -> None:
    node = Node(cost=0.001)
    assert await asyncio.gather(*(node.shown.text() for _ in range(3))) == ["a 1\n"] * 3
    assert (node.made, node.refreshed) == (1, 1)
    node.now += 0.0011 * shown.SHARE
    await node.shown.text()
    assert (node.made, node.refreshed) == (2, 2)


async def test_a_text_that_is_dear_is_made_seldom() -> None:
    node = Node(cost=0.5)
    await node.shown.text()
    node.now += 0.5 * shown.SHARE - 0.1
    await node.shown.text()
    assert node.made == 1
    node.now += 0.2
    await node.shown.text()
    assert node.made == 2


async def test_a_text_that_is_too_long_is_not_sent() -> None:
    assert await Node(text=b"x" * (shown.MAX_BYTES + 1)).shown.text() is None
