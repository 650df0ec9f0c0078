"""Nothing is left to the collector, whenever a test ends."""

import asyncio
import gc
import socket
import warnings

import pytest

from tests.serving import Serving


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)


async def ends_after(turns: int) -> None:
    serving = Serving(echo)
    with socket.create_connection(("127.0.0.1", await serving.start())):
        for _ in range(turns):
            await asyncio.sleep(0)
        await serving.stop()


@pytest.mark.parametrize("turns", range(8))
def test_a_connection_that_was_accepted_as_it_ended_is_closed(turns: int) -> None:
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        asyncio.run(ends_after(turns))
        gc.collect()
    assert [str(warning.message) for warning in left] == []


async def test_it_serves_until_it_stops() -> None:
    serving = Serving(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", await serving.start())
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"
    await serving.stop()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", serving.port)
