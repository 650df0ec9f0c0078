"""`unilb node`: follows the store, keeps datapath and workers to it, and lets both outlive it.

A change of configuration goes: new map entries, then the workers, then removal of old map entries once every worker
routes by the change (make before break). The node parses no byte that a client sent.
"""

import argparse
import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from control.model.keys import CONFIGURATION, PREFIXES
from control.model.node import Node
from control.store.base import Store
from control.store.open import open_store
from userspace.config.extra_labels import by_metric
from userspace.config.snapshot import EMPTY, Snapshot, apply
from userspace.config.source import Source, Update
from userspace.node import options, splice_counters
from userspace.node.checking import Checking
from userspace.node.counters import NodeCollector
from userspace.node.daemon_settings import NodeSettings
from userspace.node.endpoint_counters import EndpointCollector
from userspace.node.forwarding import Forwarding, bring_up, take_down
from userspace.node.headers import HeadersMissing
from userspace.node.image_cache import LoadError
from userspace.node.links import LinkError
from userspace.node.machine import MachineError
from userspace.node.maps import MapMismatch
from userspace.node.planning import Planning
from userspace.node.predecessors import Predecessors
from userspace.node.report import Reporter, named
from userspace.node.scrape import serve_metrics
from userspace.node.shown import Shown
from userspace.node.splice_counters import SpliceCollector
from userspace.node.splice_guard import new_epoch, upstreams_of
from userspace.node.splice_lines import SpliceLines
from userspace.node.splicing import Splicing
from userspace.node.store_counters import Modified, StoreCollector
from userspace.node.supervisor import Supervisor
from userspace.obs.exposition import render
from userspace.obs.http_series import Expiry
from userspace.obs.worker_totals import WorkerTotals
from userspace.wire import Message

log = logging.getLogger("unilb.node")

APPLIED_WITHIN = 2.0  # seconds to wait for slow workers before what they may still use is removed
DATAPATH_KINDS = tuple(PREFIXES[kind] for kind in ("vpc", "vip", "node"))


@dataclass(slots=True)
class NodeDaemon:
    """One node. `run` until cancelled."""

    settings: NodeSettings
    store: Store
    ready: Callable[[], Awaitable[None]] | None = None
    snapshot: Snapshot = EMPTY
    me: Node | None = None
    source: Source = field(init=False)
    totals: WorkerTotals = field(init=False)
    supervisor: Supervisor | None = None
    checking: Checking | None = None
    forwarding: Forwarding | None = None
    splicing: Splicing | None = None
    lines: SpliceLines | None = None
    planning: Planning = field(init=False)
    served: int = 0  # the revision of the last change that was taken
    reporter: Reporter = field(init=False)
    modified: Modified = field(default_factory=Modified)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _reporting: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        worker = self.settings.worker
        expiry = Expiry(worker.expire_http_status, worker.expire_bandwidth, worker.expire_http_latency)
        extra = tuple(tuple(label.name for label in labels) for labels in by_metric(worker.extra_labels))
        self.totals = WorkerTotals(expiry, extra)
        keyring = self.settings.keyring
        if keyring is None:
            self.source = Source(self.store, CONFIGURATION)
        else:
            self.source = Source(self.store, CONFIGURATION, opened=keyring.open_value)
        self.planning = Planning(self.settings.id, lambda: self.snapshot)
        self.reporter = Reporter(self.store, self.settings.id, self.report)

    async def run(self) -> None:
        """Serve; on cancellation drain the workers. The datapath stays."""
        try:
            async with asyncio.TaskGroup() as group:
                if self.settings.metrics is not None:
                    group.create_task(serve_metrics(self.settings.metrics, self.collectors, self.scrape, self.health))
                group.create_task(self.source.run(self.update))
        finally:
            for task in self._tasks:
                task.cancel()
            if self._reporting is not None:
                self._reporting.cancel()
                await asyncio.gather(self._reporting, return_exceptions=True)
            if self.checking is not None:
                await self.checking.stop()
            if self.supervisor is not None:
                await self.supervisor.drain()
            if self.splicing is not None:
                self.splicing.close()
            if self.lines is not None:  # behind the ends of the splices that end with us
                await self.lines.stop()
            if self.forwarding is not None:
                self.forwarding.close()

    async def update(self, update: Update) -> None:
        """Take one change of the store."""
        self.modified.note(update.revision, (key for key, _ in update.changes))
        datapath = [(key, value) for key, value in update.changes if key.startswith(DATAPATH_KINDS)]
        self.snapshot = apply(self.snapshot, update.revision, datapath)
        changed = bool(self.snapshot.changed)
        if self.forwarding is not None and changed:
            await self.planning.add()
        if self.supervisor is not None and self.checking is not None:
            guard = self.splicing.guard if self.splicing is not None else None
            with new_epoch(guard, self.supervisor.tell, upstreams_of(key for key, _ in update.changes)):
                self.supervisor.changes(update.revision, update.changes)
            self.checking.changes(update.revision, update.changes)
            if self.forwarding is not None and changed:
                await self.supervisor.applied(update.revision, APPLIED_WITHIN)
        if self.forwarding is not None and changed:
            self.forwarding.remove()
        if not self._started():
            await self._start()
        self.served = update.revision
        if self._reporting is None:
            self._reporting = asyncio.create_task(self.reporter.run())

    def _started(self) -> bool:
        return self.supervisor is not None or self.forwarding is not None

    async def _start(self) -> None:
        """Begin once the store says who we are."""
        if self.settings.forwarding is not None:
            self.me = self.snapshot.nodes.get(self.settings.id)
            if self.me is None:
                log.warning("no object %s in the store: waiting for it", PREFIXES["node"] + self.settings.id)
                return
            # In a thread: netlink brings an event loop of its own, and a compile takes seconds.
            plan = self.planning.plan(self.me)
            self.forwarding = await asyncio.to_thread(bring_up, self.me, plan, self.settings.forwarding)
            self.planning.forwarding = self.forwarding
            self._tasks.append(asyncio.create_task(self.forwarding.age()))
            log.info(
                "datapath of %s %s: %s, %.1f MiB of kernel memory",
                self.me.role,
                self.me.id,
                "adopted" if self.forwarding.datapath.adopted else "loaded",
                self.forwarding.collector.kernel_bytes / 2**20,
            )
        if self.me is None or self.me.role == "gateway":
            self._start_splicing()
            await self._start_workers()
        elif self.forwarding is not None:
            s = self.settings
            self.checking = self.planning.start_probing(plan, self.forwarding, s.worker_of(self.me), s.user)
        if self.ready is not None:
            await self.ready()

    def _start_splicing(self) -> None:
        if self.forwarding is None or self.settings.forwarding is None:
            return
        s = self.settings
        self.splicing = self.forwarding.splicing(s.run_dir / f"{s.id}.splices", self.settings.forwarding.splice_age)
        if self.splicing is not None:
            worker = s.worker_of(self.me or self.snapshot.nodes.get(s.id))
            self.lines = self.forwarding.lines(self.splicing, worker, s.user, s.run_dir / f"{s.id}.lines")
            self.splicing.start()
            log.info("%d splices adopted", self.splicing.adopted)

    async def _start_workers(self) -> None:
        s = self.settings
        me = self.me or self.snapshot.nodes.get(s.id)
        worker = s.worker_of(me)
        checking = self.checking = Checking(
            worker, s.user, self._tell, lambda: (self.source.revision, self.source.objects)
        )
        predecessors = Predecessors(s.run_dir / f"{s.id}.workers")
        self.supervisor = Supervisor(
            *(s.listen, s.workers, worker, self.totals, predecessors, s.user, checking.greeting, checking.pass_on),
            listen_tls=s.listen_tls,
            listen_stream=s.listen_stream,
            metrics=Shown(self.scrape, lambda: render(self.collectors())).text,
            splicing=self.splicing,
        )
        self.supervisor.snapshot(self.source.revision, self.source.objects)
        checking.start()
        await self.supervisor.start()
        # Only now: a request that came back before would wait for workers that have yet to begin.
        with new_epoch(self.splicing.guard if self.splicing is not None else None, self.supervisor.tell):
            pass
        log.info("%d workers accept on %s", s.workers, _listed(s.listen + s.listen_tls + s.listen_stream))

    def _tell(self, message: Message) -> None:
        if self.supervisor is None:
            return
        guard = self.splicing.guard if self.splicing is not None else None
        with new_epoch(
            guard if guard is not None and guard.is_decisive(message) else None,
            self.supervisor.tell,
            message["upstreams"] if message["type"] == "down" else None,
        ):
            self.supervisor.tell(message)

    def rejected(self) -> dict[str, str]:
        """Return store key -> why what is stored there is not in use."""
        found = dict(self.snapshot.rejected)
        if self.supervisor is not None:
            found |= self.supervisor.rejected()
        return found

    def collectors(self) -> list[Any]:
        own = NodeCollector(
            lambda: self.source.revision,
            lambda: self.source.age or 0.0,
            lambda: len(self.rejected()),
            lambda: self.supervisor.restarts if self.supervisor else 0,
            lambda: len(self.source.held),
            lambda: self.reporter.failures,
        )
        endpoints = [EndpointCollector(self.checking, lambda: self.planning.shares)] if self.checking else []
        store = StoreCollector(self.modified, lambda: not self.source.last_error, lambda: self.source.revision)
        kernel = [self.forwarding.collector] if self.forwarding else []
        splices = [SpliceCollector(self.splicing)] if self.splicing is not None else []
        return [self.totals, own, store, *endpoints, *kernel, *splices]

    async def scrape(self) -> None:
        if self.checking is not None:
            self.checking.ask_counters()
        if self.supervisor is not None:
            await self.supervisor.fresh_counters()
        if self.splicing is not None:
            lines = (self.lines.lines, self.lines.dropped) if self.lines is not None else ()
            self.totals.beside(*splice_counters.as_workers_count(self.splicing.accounts.read()), *lines)

    def _worker_revisions(self) -> dict[str, int]:
        return {w.name: w.revision for w in self.supervisor.workers if w.ready.is_set()} if self.supervisor else {}

    def report(self) -> dict[str, object]:
        """Return what the control plane is told of this node, besides who and when."""
        return {
            "role": self.me.role if self.me else "gateway",
            "revision": self.served,
            "seen": self.source.revision,
            "workers": self._worker_revisions(),
            "store_age_seconds": round(self.source.age or 0.0, 3),
            "held": sorted(self.source.held),
            **named(self.rejected()),
            "datapath": self.planning.refused or ("up" if self.forwarding else "off"),
            **self.endpoints(),
            **self.planning.reported(),
        }

    def endpoints(self) -> dict[str, object]:
        """Return what is known of the endpoints' health (see Verdicts.reported)."""
        return self.checking.verdicts.reported() if self.checking is not None else {}

    def health(self) -> dict[str, object]:
        """Return what /healthz says; it answers 503 until `ready` is true."""
        workers = self._worker_revisions()
        return {
            "id": self.settings.id,
            "ready": self._started() and (self.supervisor is None or bool(workers)),
            "revision": self.source.revision,
            "store_age_seconds": self.source.age,
            "store_error": self.source.last_error,
            "held": sorted(self.source.held),
            "workers": workers,
            "rejected": self.rejected(),
            "datapath": self.planning.refused or ("up" if self.forwarding else "off"),
            "endpoints_down": self.checking.verdicts.all_down() if self.checking else {},
            "vips_in_panic": self.planning.panics,
        }


def _listed(addresses: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{host}:{port}" for host, port in addresses)


async def run_until_signal(daemon: NodeDaemon) -> None:
    """Run the daemon until SIGTERM or SIGINT, then drain."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(daemon.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("drained")
    finally:
        await daemon.store.close()


async def _settle() -> None:
    """What is there once the node serves is there for long: walking it again and again would hold up changes."""
    gc.collect()
    gc.freeze()


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if args.detach:
        for what in take_down():
            log.info("removed %s", what)
        return 0
    settings = options.node_settings(args)
    refused: tuple[Exception | ExceptionGroup[Exception], ...] = ()
    try:
        asyncio.run(run_until_signal(NodeDaemon(settings, open_store(args.store), _settle)))
    except* (LinkError, MachineError, LoadError, HeadersMissing, MapMismatch) as group:
        refused = group.exceptions
        for problem in refused:
            log.error("the datapath cannot come up: %s", problem)
    return 1 if refused else 0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    options.add_parser(subparsers, run)
