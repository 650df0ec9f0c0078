"""The node's own HTTP face: /metrics for Prometheus, also where APISIX has it, /healthz for people and probes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from userspace.obs.exposition import CONTENT_TYPE, render

AS_APISIX: Final = "/apisix/prometheus/metrics"


async def serve_metrics(
    address: tuple[str, int],
    collectors: Callable[[], Sequence[Any]],
    before_scrape: Callable[[], Awaitable[None]],
    health: Callable[[], dict[str, object]],
) -> None:
    """Serve until cancelled. Raises OSError when the address is taken."""

    async def metrics(_request: web.Request) -> web.Response:
        await before_scrape()
        return web.Response(body=render(collectors()), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        state = health()
        return web.Response(
            body=orjson.dumps(state) + b"\n",
            status=200 if state["ready"] else 503,
            content_type="application/json",
        )

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get(AS_APISIX, metrics), web.get("/healthz", healthz)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, *address, reuse_port=True).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
