import asyncio
import socket
from pathlib import Path

import pytest

from tests.userspace.proxy.stage import Stage, get, hello
from userspace.proxy.listener import Listener


async def test_all_inherited_sockets_are_served_and_all_are_closed(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        inherited = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        ports = [listening.getsockname()[1] for listening in inherited]
        listener = Listener(stage.shared, [listening.detach() for listening in inherited])
        await listener.open()
        for stage.port in ports:
            client = await stage.client()
            await client.say(get())
            assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200 ")
        listener.close()
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)


async def test_a_client_on_ipv6_is_served_and_named(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        try:
            listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("no IPv6 on this machine")
        port = listening.getsockname()[1]
        listener = Listener(stage.shared, [listening.detach()])
        await listener.open()
        reader, writer = await asyncio.open_connection("::1", port)
        writer.write(get())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
        listener.close()
        await stage.until(lambda: not stage.shared.connections)
        assert stage.log_lines()[0]["client"] == "::1"
