"""The worker process: `python -m userspace.proxy.worker --wire-fd N --listen-fd N [--listen-tls-fd N] --settings JSON`.

Started by the node with inherited descriptors. It serves from the first snapshot on, keeps serving when the node is
gone, and ends with a drain: SIGTERM or the node's `drain`. SIGHUP opens the access log anew; SIGINT is the node's.
"""

import argparse
import asyncio
import contextlib
import encodings.idna  # noqa: F401  what asyncio and the codecs would import later, when the files may be out of reach
import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson
import uvloop

from userspace import wire
from userspace.balancer.build import Here
from userspace.config.compile_routing import Router
from userspace.config.settings import Settings, SettingsError
from userspace.config.snapshot import apply, replace
from userspace.obs.access_log import AccessLog
from userspace.plugins.env import Env
from userspace.proxy import openssl
from userspace.proxy.handed_back import adopt
from userspace.proxy.listener import Listener
from userspace.proxy.node_metrics import NodeMetrics, measure
from userspace.proxy.observations import Observations
from userspace.proxy.outbox import Outbox
from userspace.proxy.privileges import PrivilegeError, drop_to, forbid_new, raise_descriptor_limit, user_ids
from userspace.proxy.redis_counts import RedisCounts
from userspace.proxy.shared import Shared
from userspace.proxy.splicing import Splicing
from userspace.proxy.wheel import Wheel
from userspace.proxy.wire_intake import WireIntake
from userspace.proxy.worker_options import SPARE_DESCRIPTORS, arguments_of, port_of, within
from userspace.tally import Tally

REPORT_SECONDS = 1.0
SUSPECT_SECONDS = 1.0  # an endpoint that failed here is left out so long without the checker's word
SWEEP_REPORTS = 60  # the pools are swept every so many reports
FAREWELL_SECONDS = 2.0  # for what is in the outbox when a worker ends
MAX_TROUBLES = 100  # lines on standard error, per SWEEP_REPORTS reports


class Worker:
    """One worker's life: wire, listeners, configuration, drain. `stopped` is set when there is nothing left to do."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        log: AccessLog,
        listen_fds: Sequence[int],
        tls_fds: Sequence[int] = (),
        stream_fds: Sequence[int] = (),
        tally_fd: int | None = None,
        splice_fd: int | None = None,
    ) -> None:
        self.stopped = asyncio.Event()
        self._loop = loop
        self._log = log
        self._wheel = Wheel(loop)
        here = Here(os.getpid(), settings.zone, time.monotonic, time.monotonic())
        env = self._env = Env(tally=Tally(tally_fd), https_port=settings.https_port or port_of(tls_fds))
        self._router = Router(here, env, self._trouble, settings.router, settings.splice)
        self._shared = Shared(loop, settings, self._router, log, self._wheel)
        naming, authorities = self._shared.naming, settings.trusted_certificates
        self._outbox = env.outbox = Outbox(loop, naming, self._trouble, authorities)
        self._counts = env.counts = RedisCounts(loop, naming, self._trouble, authorities)
        self._expiry = measure(env, self._shared.counters.http, settings)
        self._metrics = NodeMetrics(loop, lambda: self._wire)
        env.metrics = self._metrics.ask
        self._shared.on_empty = self._finish
        self._shared.on_trouble = self._trouble
        self._router.live.is_checking = not settings.disable_upstream_healthcheck
        self._shared.naming.ask = lambda name: self._wire.send({"type": "resolve", "names": [name]})
        self._shared.observations = Observations(loop, self._observed, self._suspect)
        if tls_fds and not openssl.available:
            self._trouble("TLS: this Python or OpenSSL is not known: no shared tickets, no stapling, default groups")
        self._listener = Listener(self._shared, listen_fds, tls_fds, stream_fds)
        self._wire = WireIntake({"type": "ready", "pid": os.getpid()}, self._take, self._trouble, self._node_gone)
        if splice_fd is not None:
            shared = self._shared
            wire_socket = socket.socket(fileno=splice_fd)
            shared.splicing = Splicing(loop, wire_socket, shared.counters, partial(adopt, shared), self._trouble)
        self._opening: asyncio.Task[None] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._reports = 0
        self._troubles = 0

    async def run(self, wire_socket: socket.socket) -> None:
        """Serve until drained."""
        loop = self._loop
        loop.set_exception_handler(self._on_exception)
        loop.add_signal_handler(signal.SIGTERM, self.drain, self._shared.settings.drain_deadline)
        loop.add_signal_handler(signal.SIGHUP, self._log.reopen)
        loop.add_signal_handler(signal.SIGINT, _nothing)
        self._log.start()
        self._wheel.start()
        await loop.create_unix_connection(lambda: self._wire, sock=wire_socket)
        self._loop.call_later(REPORT_SECONDS, self._tick)
        await self.stopped.wait()
        await self._outbox.close(FAREWELL_SECONDS)
        await self._counts.close(FAREWELL_SECONDS)
        self._wheel.stop()
        self._log.close()

    # Configuration.

    def _take(self, message: wire.Message) -> None:
        kind = message["type"]
        if kind == "snapshot" or kind == "changes":
            self._apply(kind, message)
        elif kind == "drain":
            self.drain(float(message["deadline"]))
        elif kind == "down":
            self._router.live.set_down(message["upstreams"])
            self._router.refresh(message["upstreams"])
        elif kind == "names":
            self._named(message["names"])
        elif kind == "staples":
            self._shared.set_staples(message["staples"])
        elif kind == "splice_key":
            if self._shared.splicing is not None:
                self._shared.splicing.take_key(message)
        elif kind == "counters?":
            self._report(message.get("asked"))
        elif kind == "metrics":
            self._metrics.answered(message["text"])
        else:
            self._trouble(f"wire: unknown message {kind}")

    def _apply(self, kind: str, message: wire.Message) -> None:
        old = self._router.snapshot
        revision = message["revision"]
        pairs = message["objects" if kind == "snapshot" else "changes"]
        if kind == "snapshot":
            new = replace(old, revision, [(key, value.encode()) for key, value in pairs])
        else:
            new = apply(old, revision, [(key, None if value is None else value.encode()) for key, value in pairs])
        self._router.apply(new)
        rejected = new.rejected
        answer = {key: rejected[key] for key, _ in pairs if key in rejected}
        self._wire.send({"type": "applied", "revision": revision, "rejected": answer})
        if kind == "snapshot":
            # What was just built stays for long: the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
        if self._opening is None and not self._shared.is_draining:
            self._opening = self._loop.create_task(self._listener.open())

    def _named(self, names: Mapping[str, Any]) -> None:
        """`names`: [addresses, why there is none] by name; None for a name that is not used any more."""
        found = {name: tuple(answer[0]) if answer is not None else None for name, answer in names.items()}
        self._router.refresh(self._router.live.set_addresses(found))
        self._shared.naming.answered(names)

    def _observed(self, message: Mapping[str, object]) -> bool:
        """Tell the node what exchanges met; False when it does not read."""
        if not self._wire.is_clear:
            return False
        self._wire.send(message)
        return True

    def _suspect(self, upstream: str, endpoint: str) -> None:
        """Enough failures of our own: leave the endpoint out now; the checker has a second to agree."""
        if self._router.live.suspect(upstream, endpoint):
            self._router.refresh([upstream])
            self._loop.call_later(SUSPECT_SECONDS, self._trust, upstream)

    def _trust(self, upstream: str) -> None:
        self._router.live.trust(upstream)
        self._router.refresh([upstream])

    # Counting.

    def _tick(self) -> None:
        self._loop.call_later(REPORT_SECONDS, self._tick)
        self._log.flush()
        self._shared.observations.flush()
        self._router.warm()
        if self._wire.is_clear:
            self._report()
        self._shared.pools.retire(self._router.upstream_of)
        self._reports += 1
        if self._reports % SWEEP_REPORTS == 0:
            self._shared.pools.sweep()
            self._shared.server_contexts.sweep(self._router.certificates.of_id)
            self._shared.client_contexts.sweep(self._router.upstream_of)
            self._troubles = 0

    def _report(self, asked: int | None = None) -> None:
        """Send the counters; `asked`: the number of the question that they answer."""
        shared = self._shared
        gauges, totals = shared.counters.gauges, shared.counters.totals
        busy = sum(connection.exchange is not None for connection in shared.connections)
        reading = sum(connection.exchange is None and connection.in_head for connection in shared.connections)
        gauges["active"] = len(shared.connections)
        gauges["writing"], gauges["reading"] = busy, reading
        gauges["waiting"] = len(shared.connections) - busy - reading
        gauges["tunnels"] = shared.tunnels
        gauges["upstream_active"], gauges["upstream_idle"] = shared.pools.counts()
        gauges["revision"] = self._router.snapshot.revision
        gauges["panics"] = len(self._router.panics)
        gauges["rejected_objects"] = len(self._router.snapshot.rejected)
        totals["log_lines"], totals["log_dropped"] = self._log.lines, self._log.dropped
        totals["observations_dropped"] = shared.observations.dropped
        outbox = self._outbox
        totals["outbox_delivered"], totals["outbox_failed"] = outbox.delivered, outbox.failed
        totals["outbox_dropped"] = outbox.dropped
        gauges["outbox_pending"] = outbox.pending
        counts = self._counts
        totals["redis_asked"], totals["redis_failed"] = counts.asked, counts.failed
        totals["redis_refused"] = counts.refused
        gauges["redis_waiting"] = counts.waiting
        totals["tally_evicted"] = self._env.tally.evicted
        totals["compression_declined"] = self._env.coders.declined
        counters = shared.counters.report(self._loop.time(), self._expiry)
        self._wire.send({"type": "counters", "counters": counters, **({} if asked is None else {"asked": asked})})

    # Ending.

    def _node_gone(self) -> None:
        """Go on without the node, unless it went before it gave us a configuration: nobody else would ever end us."""
        if self._opening is None:
            self.stopped.set()

    def drain(self, deadline: float) -> None:
        """Stop accepting, let exchanges finish, and be gone after `deadline` seconds. The latest call sets the time."""
        shared = self._shared
        if self._cut is not None:
            self._cut.cancel()
        self._cut = self._loop.call_later(deadline, self._cut_rest)
        shared.is_draining = True
        self._listener.close()
        shared.pools.close()
        for connection in list(shared.connections):
            connection.drain()
        shared.connection_closed()

    def _cut_rest(self) -> None:
        if self._shared.splicing is not None:
            self._shared.splicing.close()
        for connection in list(self._shared.connections):
            connection.cut()
        for handshake in list(self._shared.bare):
            handshake.cut()
        self._finish()

    def _finish(self) -> None:
        if self.stopped.is_set():
            return
        self._log.flush()
        self._report()
        self._wire.send({"type": "drained"})
        self._wire.close()
        self.stopped.set()

    # Trouble.

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        text = str(context.get("message", "error"))
        if isinstance(error, BaseException):
            self._shared.counters.error("internal", type(error).__name__)
            text += "\n" + "".join(traceback.format_exception(error))
        self._trouble(text)

    def _trouble(self, text: str) -> None:
        self._troubles += 1
        if self._troubles <= MAX_TROUBLES:
            # Nobody may be reading standard error any more.
            with contextlib.suppress(OSError):
                sys.stderr.write(f"worker {os.getpid()}: {text}\n")


def _nothing() -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run one worker; return its exit status: 0 after a drain, 2 when it cannot start."""
    arguments = arguments_of(argv)
    try:
        settings = Settings.from_json(orjson.loads(arguments.settings))
        log = AccessLog(settings.access_log)
        wanted = SPARE_DESCRIPTORS + 2 * settings.max_connections
        settings = within(raise_descriptor_limit(wanted), settings)
        if arguments.user is None:
            forbid_new()
        else:
            uid, gid = user_ids(arguments.user)
            if os.geteuid() == 0:
                log.own(uid, gid)
            drop_to(uid, gid)
    except (SettingsError, orjson.JSONDecodeError, OSError, PrivilegeError) as error:
        sys.stderr.write(f"worker {os.getpid()}: {error}\n")
        return 2
    wire_socket = socket.socket(fileno=arguments.wire_fd)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, log, arguments, wire_socket))
    return 0


async def _serve(settings: Settings, log: AccessLog, given: argparse.Namespace, wire_socket: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    fds = given.listen_fd, given.listen_tls_fd, given.listen_stream_fd
    await Worker(loop, settings, log, *fds, given.tally_fd, given.splice_fd).run(wire_socket)


if __name__ == "__main__":
    sys.exit(main())
