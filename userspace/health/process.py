"""The checker process: `python -m userspace.health.process --wire-fd N --settings JSON [--user NAME]`.

One per node, unprivileged, started by it. It probes endpoints, counts what workers saw of them, resolves their names.
It reads what endpoints and name servers send, so that the node need not; without the node it ends: nobody would listen.
"""

import argparse
import asyncio
import contextlib
import encodings.idna  # noqa: F401  what asyncio would import later, when the files may be out of reach
import gc
import os
import signal
import socket
import sys
import traceback
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import partial

import orjson
import uvloop

from userspace import wire
from userspace.config.names import names_of, resolved
from userspace.config.settings import Settings, SettingsError
from userspace.health.checker import MAX_PROBES, Checker
from userspace.health.dns import Dns
from userspace.health.follow import Following
from userspace.health.probe import probe
from userspace.health.resolver import MAX_QUESTIONS, Resolver
from userspace.health.secured import ProbeContexts
from userspace.health.stapling import Stapler
from userspace.health.state import Health, Status
from userspace.health.targets import Key, targets_of
from userspace.health.watch import Row, Watch
from userspace.proxy.privileges import PrivilegeError, drop_to, forbid_new, raise_descriptor_limit, user_ids
from userspace.proxy.tls_contexts import ContextError
from userspace.proxy.wire_intake import WireIntake

TELL_WITHIN = 0.5  # seconds: counters alone are told this late; whether an endpoint is up, at once
SPARE_DESCRIPTORS = 64
MAX_ASKED = 1000  # names that workers asked for; beyond, they have no address
ASKED_FOR = 600.0  # seconds that such a name is kept current
MAX_TROUBLES = 100  # lines on standard error


class CheckerProcess:
    """Between the wire and what is checked and resolved. `stopped` is set when the node is gone."""

    def __init__(self, dns: Dns, settings: Settings, following: Following, contexts: ProbeContexts) -> None:
        self.stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._dns = dns
        self._is_checking = not settings.disable_upstream_healthcheck
        self._following = following
        self._contexts = contexts
        self._checker = Checker(self._changed, self._gone, partial(probe, secured=contexts.of))
        self._stapler = Stapler(self._staple, self._trouble)
        self._resolver = Resolver(dns.ask, self._resolved, settings.dns_ttl or None)
        self._using: dict[str, frozenset[str]] = {}  # upstream id -> its names
        self._users: dict[str, set[str]] = {}  # and the other way round
        self._asked: dict[str, float] = {}  # by workers: when
        self._news: dict[Key, Row | None] = {}  # what the node is to be told: None, gone
        self._up: dict[Key, tuple[bool, frozenset[str]]] = {}  # what it was told
        self._names: dict[str, list[object] | None] = {}  # likewise: [addresses, why], or None
        self._telling: asyncio.TimerHandle | None = None
        self._telling_at = 0.0
        self._troubles = 0
        self._wire = WireIntake({"type": "ready", "pid": os.getpid()}, self._take, self._trouble, self.stopped.set)

    async def run(self, wire_socket: socket.socket) -> None:
        """Check until the node is gone or says so."""
        self._loop.set_exception_handler(self._on_exception)
        self._loop.add_signal_handler(signal.SIGTERM, self.stopped.set)
        self._loop.add_signal_handler(signal.SIGINT, _nothing)  # the node's
        await self._loop.create_unix_connection(lambda: self._wire, sock=wire_socket)
        self._sweep()
        stapling = self._loop.create_task(self._stapler.run())
        await self.stopped.wait()
        stapling.cancel()
        self._checker.stop()
        self._resolver.stop()
        self._wire.close()
        await self._dns.close()

    # What the node says.

    def _take(self, message: wire.Message) -> None:
        match message["type"]:
            case "snapshot":
                differing = self._following.whole(message["revision"], message["objects"])
                self._configured(differing | self._checker.restored())
                self._names.update(dict.fromkeys(self._resolver.unclaimed()))
                self._tell_within(TELL_WITHIN)
                gc.collect()
                gc.freeze()
            case "changes":
                self._configured(self._following.changes(message["revision"], message["changes"]))
            case "passive":
                self._checker.passive(message["seen"])
            case "resolve":
                self._asked_for(message["names"])
            case "states":
                self._checker.restore({(row[0], row[1], row[2]): _health(row) for row in message["rows"]})
                self._resolver.restore({name: tuple(answer[0]) for name, answer in message["names"].items()})
            case "counters?":
                counts = {"checks": self._checker.counts, "names": self._resolver.counts}
                self._wire.send({"type": "counters", **counts, "failing_names": self._resolver.failing})
            case other:
                self._trouble(f"wire: unknown message {other}")

    def _configured(self, differing: frozenset[str]) -> None:
        self._stapler.set(self._following.stapled)
        for id in differing:
            upstream = self._following.upstreams.get(id)
            names = names_of(upstream) if upstream is not None else frozenset()
            for name in self._using.pop(id, frozenset()) - names:
                self._users[name].discard(id)
                if not self._users[name]:
                    del self._users[name]
                    self._unused(name)
            if names:
                self._using[id] = names
            for name in names:
                self._users.setdefault(name, set()).add(id)
        self._want()
        for id in differing:
            self._set_targets(id)

    def _asked_for(self, names: Iterable[str]) -> None:
        """A worker wants names resolved that stand in no upstream of ours: those of plugins. They are kept current for
        a while; who still needs them then asks again."""
        now = self._loop.time()
        for name in names:
            known = self._resolver.addresses(name)
            if known is not None:
                self._names[name] = [list(known), ""]
            if name not in self._asked and len(self._asked) >= MAX_ASKED:
                self._names[name] = [[], f"more than {MAX_ASKED} names of plugins"]
            else:
                self._asked[name] = now
        self._want()
        self._tell_within(0)

    def _sweep(self) -> None:
        """Forget the names that were asked for long ago, and what probes used of upstreams that changed."""
        self._loop.call_later(ASKED_FOR / 10, self._sweep)
        self._contexts.sweep()
        oldest = self._loop.time() - ASKED_FOR
        gone = [name for name, at in self._asked.items() if at < oldest]
        for name in gone:
            del self._asked[name]
            self._unused(name)
        if gone:
            self._want()

    def _want(self) -> None:
        self._resolver.want(self._users.keys() | self._asked.keys())

    def _unused(self, name: str) -> None:
        if name not in self._users and name not in self._asked:
            self._names[name] = None
            self._tell_within(TELL_WITHIN)

    def _set_targets(self, id: str) -> None:
        upstream = self._following.upstreams.get(id)
        known = {name: self._resolver.addresses(name) for name in self._using.get(id, ())}
        answered = {name: addresses for name, addresses in known.items() if addresses is not None}
        is_checked = upstream is not None and self._is_checking
        self._checker.set(id, targets_of(resolved(upstream, answered)) if is_checked and upstream is not None else {})
        if len(answered) == len(known):
            for key in self._checker.unclaimed(id):
                self._gone(key)

    # What the node is told.

    def _resolved(self, name: str, addresses: tuple[str, ...], why: str) -> None:
        self._names[name] = [list(addresses), why]
        for id in self._users.get(name, ()):
            self._set_targets(id)
        self._tell_within(0)

    def _staple(self, id: str, response: bytes) -> None:
        self._wire.send({"type": "staples", "staples": {id: b64encode(response).decode()}})

    def _changed(self, watch: Watch) -> None:
        key = watch.target.key
        told = (watch.health.is_up, watch.ejected)
        self._news[key] = watch.row()
        # A new target that is up, as all are believed to be, is no news to workers.
        self._tell_within(0 if self._up.get(key, (True, frozenset())) != told else TELL_WITHIN)
        self._up[key] = told

    def _gone(self, key: Key) -> None:
        self._up.pop(key, None)
        self._news[key] = None
        self._tell_within(TELL_WITHIN)

    def _tell_within(self, seconds: float) -> None:
        at = self._loop.time() + seconds
        if self._telling is not None:
            if self._telling_at <= at:
                return
            self._telling.cancel()
        self._telling_at = at
        self._telling = self._loop.call_at(at, self._tell)

    def _tell(self) -> None:
        self._telling = None
        if self._names:
            names, self._names = self._names, {}
            self._wire.send({"type": "names", "names": names})
        if self._news:
            news, self._news = self._news, {}
            rows = [row for row in news.values() if row is not None]
            gone = [list(key) for key, row in news.items() if row is None]
            self._wire.send({"type": "health", "rows": rows, "gone": gone})

    # Trouble.

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        text = str(context.get("message", "error"))
        if isinstance(error, BaseException):
            text += "\n" + "".join(traceback.format_exception(error))
        self._trouble(text)

    def _trouble(self, text: str) -> None:
        self._troubles += 1
        if self._troubles <= MAX_TROUBLES:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"checker {os.getpid()}: {text}\n")


def _health(row: Row) -> Health:
    status, counters = str(row[5]), [int(str(count)) for count in row[6:10]]
    return Health(Status(status), *counters)


def _nothing() -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checker; return its exit status: 0 when the node went, 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="userspace.health.process", description="The checker; started by the node.")
    parser.add_argument("--wire-fd", type=int, required=True)
    parser.add_argument("--settings", default="{}", help="JSON object, see userspace/config/settings.py")
    parser.add_argument("--user", help="drop to this user when started as root")
    arguments = parser.parse_args(argv)
    try:
        settings = Settings.from_json(orjson.loads(arguments.settings))
        raise_descriptor_limit(SPARE_DESCRIPTORS + MAX_PROBES + 4 * MAX_QUESTIONS)
        following = Following()
        contexts = ProbeContexts(following.upstreams.get, following.ssl, settings.trusted_certificates)
        contexts.prepare()
        if arguments.user is None:
            forbid_new()
        else:
            drop_to(*user_ids(arguments.user))
    except (SettingsError, orjson.JSONDecodeError, OSError, PrivilegeError, ContextError) as error:
        sys.stderr.write(f"checker {os.getpid()}: {error}\n")
        return 2
    wire_socket = socket.socket(fileno=arguments.wire_fd)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, following, contexts, wire_socket))
    return 0


async def _serve(settings: Settings, following: Following, contexts: ProbeContexts, wire_socket: socket.socket) -> None:
    await CheckerProcess(Dns(settings.resolvers), settings, following, contexts).run(wire_socket)


if __name__ == "__main__":
    sys.exit(main())
