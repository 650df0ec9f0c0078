"""An endpoint on port 9000 that gives back what comes: each request's body, and after an upgrade, which it takes up
whatever it is, every byte: `python echo_upgraded.py`."""

import asyncio
import re

PORT = 9000
# Key and answer of RFC 6455 section 1.3: there are proxies that look at them.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
SWITCH += b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while b"\r\nupgrade:" not in (head := (await reader.readuntil(b"\r\n\r\n")).lower()):
            length = re.search(rb"\r\ncontent-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.write(SWITCH)
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, None, PORT, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
