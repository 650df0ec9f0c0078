"""Endpoints that tell which requests they took what they heard for: nginx, HAProxy, h11 and aiohttp."""

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import h11
from aiohttp import web

from tests.ports import unused_port
from tests.serving import Serving

Seen = Callable[[], list[str]]
"""The targets of all requests so far, in the order they came; GARBAGE for what was none."""

GARBAGE = "garbage"

NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log crit; worker_processes 1;
events {{ worker_connections 1024; }}
http {{ log_format seen "$request_uri"; access_log {folder}/seen.log seen; keepalive_requests 100000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; ignore_invalid_headers off; underscores_in_headers on;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "path=$request_uri;"; }} }} }}
"""

HAPROXY = """
global
  log 127.0.0.1:{log_port} len 65535 local0
defaults
  mode http
  option dontlognull
  timeout client 5s
  timeout server 5s
  timeout connect 5s
  option http-server-close
frontend f
  log global
  bind 127.0.0.1:{port}
  log-format "seen %rt %HU|"
  default_backend b
backend b
  server s {origin}
"""


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[tuple[str, Seen]]:
    port = unused_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    async with _process(["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port):
        yield (
            f"127.0.0.1:{port}",
            lambda: [line.strip("-") or GARBAGE for line in (folder / "seen.log").read_text().splitlines()],
        )


@asynccontextmanager
async def haproxy(folder: Path) -> AsyncIterator[tuple[str, Seen]]:
    lines: dict[bytes, str] = {}  # by number: HAProxy tells each twice

    class Log(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: object) -> None:
            matched = re.search(rb"seen ([0-9]+) (.*)\|", data)
            if matched is not None:
                target = matched.group(2).decode("latin-1")
                lines[matched.group(1)] = GARBAGE if target == "<BADREQ>" else target

    loop = asyncio.get_running_loop()
    log, _ = await loop.create_datagram_endpoint(Log, local_addr=("127.0.0.1", 0))
    async with h11_server(folder) as (origin, _):
        port = unused_port()
        log_port = log.get_extra_info("sockname")[1]
        (folder / "haproxy.conf").write_text(HAPROXY.format(port=port, origin=origin, log_port=log_port))
        async with _process(["/usr/sbin/haproxy", "-db", "-f", str(folder / "haproxy.conf")], port):
            yield f"127.0.0.1:{port}", lambda: list(lines.values())
    log.close()


@asynccontextmanager
async def h11_server(folder: Path) -> AsyncIterator[tuple[str, Seen]]:
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        target = ""
        try:
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(65536))
                elif isinstance(event, h11.Request):
                    target = event.target.decode("latin-1")
                    seen.append(target)
                elif isinstance(event, h11.EndOfMessage):
                    body = f"path={target};".encode()
                    head = h11.Response(status_code=200, headers=[("Content-Length", str(len(body)))])
                    for part in (head, h11.Data(data=body), h11.EndOfMessage()):
                        writer.write(connection.send(part) or b"")
                    connection.start_next_cycle()
                elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    break
        except h11.RemoteProtocolError as error:
            if "incomplete" not in str(error) and "peer" not in str(error):
                seen.append(GARBAGE)
        except h11.LocalProtocolError:
            pass

    serving = Serving(serve)
    yield f"127.0.0.1:{await serving.start()}", lambda: seen
    await serving.stop()


@asynccontextmanager
async def aiohttp_server(folder: Path) -> AsyncIterator[tuple[str, Seen]]:
    seen: list[str] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        seen.append(GARBAGE if target == "/" and request.method == "UNKNOWN" else target)
        with contextlib.suppress(Exception):
            await request.read()
        return web.Response(text=f"path={target};")

    runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}", lambda: seen
    await runner.cleanup()


@asynccontextmanager
async def _process(argv: list[str], port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None, await process.stderr.read()  # type: ignore[union-attr]
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
