"""Deliveries: what arrives, what is tried again, what is given up, and what there is no room for."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.control.certificates import authority
from tests.serving import Serving
from userspace.plugins.jobs import Attempts, DatagramJob, FileJob, HttpJob, StreamJob
from userspace.proxy import outbox as module
from userspace.proxy.naming import Naming
from userspace.proxy.outbox import Outbox


class Server:
    """Keeps what it gets; answers each connection with the next of `answers`."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.got: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(await reader.readuntil(b"."))
        writer.write(self.answers.pop(0) if self.answers else b"")

    async def start(self, context: ssl.SSLContext | None = None) -> int:
        self.serving = Serving(self.serve, tls=context)
        return await self.serving.start()

    async def stop(self) -> None:
        await self.serving.stop()


def outbox(told: list[str] | None = None, authorities: str = "", **names: tuple[str, ...]) -> Outbox:
    loop = asyncio.get_running_loop()
    return Outbox(loop, Naming(loop, names), (told if told is not None else []).append, authorities)


async def test_a_post_arrives_and_a_refused_one_is_tried_again() -> None:
    server = Server(b"HTTP/1.1 503 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    box = outbox()
    assert box.post(HttpJob("127.0.0.1", await server.start(), False, False, b"x.", 5, Attempts(1, 0)), 3)
    await box.close(5)
    await server.stop()
    assert server.got == [b"x.", b"x."] and (box.delivered, box.failed) == (3, 0)


async def test_what_fails_at_the_last_try_is_counted_and_told() -> None:
    told: list[str] = []
    server = Server(b"HTTP/1.1 503 No\r\n\r\n", b"nonsense\r\n")
    box = outbox(told)
    port = await server.start()
    for _ in range(2):
        box.post(HttpJob("127.0.0.1", port, False, False, b"x.", 5), 2)
    await box.close(5)
    await server.stop()
    assert (box.delivered, box.failed, len(told)) == (0, 4, 2) and "status 503" in "".join(told)


async def test_any_answer_will_do_for_a_mirrored_request() -> None:
    server = Server(b"HTTP/1.1 500 No\r\n\r\n")
    box = outbox()
    box.post(HttpJob("127.0.0.1", await server.start(), False, False, b"x.", 5, any_status=True), 1)
    await box.close(5)
    await server.stop()
    assert box.delivered == 1


async def test_a_name_is_looked_up_and_a_stream_is_written() -> None:
    server = Server()
    box = outbox(log=("127.0.0.1",))
    box.post(StreamJob("log", await server.start(), False, b"line.", 5), 1)
    await box.close(5)
    await server.stop()
    assert box.delivered == 1


def secured(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """What a server called log.example is secured with, and the file of who vouches for it."""
    certificate, key = authority().sign("log.example")
    (tmp_path / "root").write_text(authority().certificate)
    (tmp_path / "pair").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair")
    return context, str(tmp_path / "root")


async def test_a_server_is_verified_where_asked_and_by_its_name(tmp_path: Path) -> None:
    context, root = secured(tmp_path)
    told: list[str] = []
    server = Server(*[b"HTTP/1.1 200 OK\r\n\r\n"] * 6)
    port = await server.start(context)
    names = {"log.example": ("127.0.0.1",), "other.example": ("127.0.0.1",)}
    box = outbox(told, root, **names)
    box.post(HttpJob("log.example", port, True, True, b"1.", 5), 1)
    box.post(HttpJob("other.example", port, True, False, b"2.", 5), 1)
    box.post(StreamJob("log.example", port, True, b"3.", 5, verify=True), 1)
    box.post(StreamJob("127.0.0.1", port, True, b"4.", 5, verify=True, name="log.example"), 1)
    box.post(StreamJob("127.0.0.1", port, True, b"5.", 5), 1)
    await box.close(5)
    assert (box.delivered, box.failed, told) == (5, 0, [])
    strict = outbox(told, root, **names)
    strict.post(HttpJob("other.example", port, True, True, b"6.", 5), 1)
    strict.post(StreamJob("127.0.0.1", port, True, b"7.", 5, verify=True), 1)
    await strict.close(5)
    stranger = outbox(told, **names)
    stranger.post(StreamJob("log.example", port, True, b"8.", 5, verify=True), 1)
    await stranger.close(5)
    await server.stop()
    assert (strict.failed, stranger.failed) == (2, 1) and all("certificate verify failed" in one for one in told)
    assert sorted(server.got) == [b"%d." % number for number in range(1, 6)]


async def test_a_datagram_is_sent() -> None:
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Sink(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            got.set_result(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Sink, local_addr=("127.0.0.1", 0))
    box = outbox()
    box.post(DatagramJob("127.0.0.1", transport.get_extra_info("sockname")[1], b"d", 5), 1)
    assert await asyncio.wait_for(got, 5) == b"d"
    transport.close()


async def test_lines_of_a_file_keep_their_order_and_a_missing_directory_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    box = outbox(told)
    for number in range(20):
        box.post(FileJob(str(tmp_path / "f"), b"%d " % number), 1)
    box.post(FileJob(str(tmp_path / "none" / "f"), b"x"), 1)
    await box.close(5)
    assert (tmp_path / "f").read_bytes().split() == [b"%d" % number for number in range(20)]
    assert box.failed == 1 and "none/f" in told[0]


async def test_beyond_its_limits_it_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_JOBS", 2)
    monkeypatch.setattr(module, "MAX_DESTINATIONS", 1)
    box = outbox()
    job = StreamJob("127.0.0.1", 1, False, b"x", 5)
    assert [box.post(job, 2) for _ in range(3)] == [True, True, False]
    assert not box.post(StreamJob("127.0.0.1", 2, False, b"x", 5), 1)
    assert (box.dropped, box.pending) == (3, 2)
    monkeypatch.setattr(module, "MAX_BYTES", 1)
    monkeypatch.setattr(module, "MAX_JOBS", 9)
    assert not box.post(job, 1)
    await box.close(5)
    assert box.pending == 0


async def test_what_waits_for_more_is_called_back_at_the_end_and_what_was_cancelled_is_not() -> None:
    box = outbox()
    called: list[int] = []
    box.later(100, lambda: called.append(1))
    box.later(100, lambda: called.append(2)).cancel()
    await box.close(1)
    assert called == [1] and box.is_closing
