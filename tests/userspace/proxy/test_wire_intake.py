import asyncio
import socket

from userspace import wire
from userspace.proxy.wire_intake import WireIntake


class Node:
    """The other end of the wire, and what the intake told the worker."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.messages: asyncio.Queue[wire.Message] = asyncio.Queue()
        self.troubles: list[str] = []
        self.ended = asyncio.Event()
        self.intake = WireIntake(
            {"type": "ready", "pid": 1}, self.messages.put_nowait, self.troubles.append, self.ended.set
        )

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self.intake, sock=self.theirs)

    async def hear(self, size: int = 1 << 16) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.ours, size), 5)


async def test_the_greeting_goes_out_before_anything_comes_in() -> None:
    node = Node()
    node.ours.send(wire.encode({"type": "counters?"}) * 2)
    await node.connect()
    for _ in range(2):
        assert await asyncio.wait_for(node.messages.get(), 5) == {"type": "counters?"}
    assert await node.hear() == wire.encode({"type": "ready", "pid": 1})
    node.intake.close()
    assert await node.hear() == b""
    node.ours.close()


async def test_a_node_that_does_not_read_holds_periodic_messages_back_until_it_does() -> None:
    node = Node()
    await node.connect()
    assert node.intake.is_clear
    sent = 0
    while node.intake.is_clear:
        node.intake.send({"type": "counters", "pad": "x" * 10000})
        sent += 1
    heard = wire.Decoder()
    count = 0
    while count < sent + 1:
        count += len(heard.feed(await node.hear(1 << 20)))
    await asyncio.sleep(0)
    assert node.intake.is_clear
    node.intake.close()
    await node.hear()
    node.ours.close()


async def test_the_end_of_the_node_is_quiet() -> None:
    node = Node()
    await node.connect()
    await node.hear()
    node.ours.close()
    await asyncio.wait_for(node.ended.wait(), 5)
    assert not node.intake.is_open
    node.intake.send({"type": "counters"})
    assert node.troubles == []


async def test_malformed_bytes_are_named_and_end_the_wire() -> None:
    node = Node()
    await node.connect()
    await node.hear()
    node.ours.send(b"\x00\x00\x00\x02[]")
    assert await node.hear() == b""
    assert node.troubles == ["wire: message is not an object with a type"]
    node.ours.close()


async def test_a_message_that_fails_is_told_and_the_next_one_is_taken() -> None:
    node = Node()
    taken: list[str] = []

    def take(message: wire.Message) -> None:
        taken.append(message["type"])
        if message["type"] == "bad":
            raise ZeroDivisionError("of the test")

    node.intake = WireIntake({"type": "ready", "pid": 1}, take, node.troubles.append, node.ended.set)
    await node.connect()
    node.ours.send(wire.encode({"type": "bad"}) + wire.encode({"type": "good"}))
    async with asyncio.timeout(5):
        while len(taken) < 2:
            await asyncio.sleep(0.001)
    assert taken == ["bad", "good"] and node.intake.is_open
    (trouble,) = node.troubles
    assert trouble.startswith("wire: bad: ") and "ZeroDivisionError: of the test" in trouble
    node.intake.close()
    node.ours.close()
