"""The process that logs what the kernel carries: `python -m userspace.spliced.process --wire-fd N --ring PATH ...`.

One per gateway, started by its node. It maps the ring as root and gives root up before it reads a byte that a client
sent. Without the node it reads on, as workers serve on, until the next node's asks it to end: what is not finished by
then, that one finishes. Without node and datapath it ends by itself.
"""

import argparse
import gc
import os
import select
import signal
import socket
import sys
import time
from base64 import b64decode
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from userspace import wire
from userspace.config.settings import Settings, SettingsError
from userspace.node.bpf import get_pinned
from userspace.node.ring import Ring
from userspace.node.splice_abi import Splice
from userspace.obs.access_log import AccessLog
from userspace.proxy.log_format import LogFormat
from userspace.proxy.privileges import PrivilegeError, drop_to, forbid_new, user_ids
from userspace.spliced.lines import NOBODY, Lines, Owner
from userspace.spliced.requests import Finished, Requests
from userspace.spliced.succession import Succession

EVERY = 0.1  # seconds between two looks at the ring
AT_ONCE = 4096  # records
ASKED_AT_ONCE = 64  # silent splices that the node looks up in one go
ROOM_BYTES = 2 << 20  # more than that waits for the sink: the ring has to wait too
REPORT_EVERY = 1.0
MAX_TROUBLES = 100  # lines on standard error


class Writer:
    """From the ring to the log. `turn()` again and again; `close()` at the end."""

    def __init__(
        self, ring: Ring, log: AccessLog, log_format: LogFormat | None, node: socket.socket, left: Iterable[bytes]
    ) -> None:
        self._ring = ring
        self._log = log
        self._owners: dict[int, Owner] = {}
        self._lines = Lines(lambda account: self._owners.get(account, NOBODY), log_format)
        self._requests = Requests(self._write)
        self._answers: list[tuple[int, Splice, bytes]] = []
        self._ends: list[tuple[int, Splice, str, int]] = []
        self._decoder = wire.Decoder()
        self._node: socket.socket | None = node
        self._ahead = 0.0
        self._failed = 0
        self._told = 0.0
        node.setblocking(False)
        for record in left:
            self._requests.restore(record, time.monotonic())

    @property
    def is_alone(self) -> bool:
        """Whether the node is gone."""
        return self._node is None

    def turn(self) -> bool:
        """Take what is there; return whether there may be more."""
        now_ns = time.monotonic_ns()
        now = now_ns / 1e9
        self._ahead = time.time() - now
        self._hear()
        # What the node has looked up is younger than what the ring has now, and whose an account is, it says before
        # anything is counted for it: so hear, read, hear, and only then go by it.
        answers, self._answers = self._answers, []
        ends, self._ends = self._ends, []
        room = self._log.pending_bytes < ROOM_BYTES
        records = list(islice(self._ring.read(), AT_ONCE)) if room else []
        self._hear()
        for record in records:
            self._requests.take(record, now)
        if room and len(records) < AT_ONCE:
            for end in ends:
                self._requests.end(*end)
            for id, splice, said in answers:
                self._requests.settle(id, splice, said, now_ns)
            self._ask(now)
        else:
            self._ends[:0] = ends
        self._log.flush()
        if now - self._told >= REPORT_EVERY:
            self._told = now
            dropped = self._log.dropped + self._requests.lost + self._failed
            self._say({"type": "counted", "lines": self._log.lines, "dropped": dropped})
        return len(records) == AT_ONCE

    def wait(self, seconds: float) -> None:
        """Until the node says something, at most so long."""
        if self._node is None:
            time.sleep(seconds)
        else:
            select.select([self._node], [], [], seconds)

    def close(self) -> list[bytes]:
        """End it, and return what is not finished."""
        self._hear()
        for end in self._ends:
            self._requests.end(*end)
        self._gone()
        self._log.close()
        self._ring.close()
        return list(self._requests.records())

    def _write(self, request: Finished) -> None:
        try:
            line = self._lines.line(request, self._ahead)
        except Exception as error:  # a fault of ours in one line must not cost all that follow
            self._failed += 1
            if self._failed <= MAX_TROUBLES:
                sys.stderr.write(f"log of splices {os.getpid()}: {type(error).__name__}: {error}\n")
        else:
            self._log.write_line(line)

    def _ask(self, now: float) -> None:
        if self._node is not None:
            silent = self._requests.silent(now, ASKED_AT_ONCE)
            if silent:
                self._say({"type": "silent", "ids": silent})

    def _say(self, message: dict[str, Any]) -> None:
        """Tell the node; one that does not read is as good as gone."""
        if self._node is not None:
            try:
                self._node.sendall(wire.encode(message))
            except OSError:
                self._gone()

    def _hear(self) -> None:
        while self._node is not None:
            try:
                data = self._node.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._gone()
                return
            for message in self._decoder.feed(data):
                self._take(message)

    def _take(self, message: wire.Message) -> None:
        if message["type"] == "owners":
            for account, *owner in message["owners"]:
                self._owners[account] = Owner(*owner)
        elif message["type"] == "splices":
            for id, raw, said in message["splices"]:
                self._answers.append((id, Splice.from_buffer_copy(b64decode(raw)), b64decode(said)))
        elif message["type"] == "ended":
            splice = Splice.from_buffer_copy(b64decode(message["splice"]))
            self._ends.append((message["id"], splice, message["why"], message["at_ns"]))

    def _gone(self) -> None:
        if self._node is not None:
            self._node.close()
            self._node = None


def main(argv: Sequence[str] | None = None) -> int:
    """Log until asked to end; return the exit status: 0 then, 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="userspace.spliced.process", description=__doc__)
    parser.add_argument("--wire-fd", type=int, required=True)
    parser.add_argument("--ring", type=Path, required=True, help="where it is pinned")
    parser.add_argument("--state", type=Path, required=True, help="the file of its succession")
    parser.add_argument("--settings", default="{}", help="JSON object, see userspace/config/settings.py")
    parser.add_argument("--user", help="drop to this user when started as root")
    arguments = parser.parse_args(argv)
    node = socket.socket(fileno=arguments.wire_fd)
    try:
        settings = Settings.from_json(orjson.loads(arguments.settings))
        ids = user_ids(arguments.user) if arguments.user is not None else None
        log = AccessLog(settings.access_log)
        log_format = LogFormat(settings.access_log_format) if settings.access_log_format else None
        succession = Succession(arguments.state)
        left = succession.take()
        ring = Ring(get_pinned(arguments.ring))
        pin = os.open(arguments.ring, os.O_PATH | os.O_CLOEXEC)
        if ids is None:
            forbid_new()
        else:
            log.own(*ids)
            drop_to(*ids)
    except (SettingsError, orjson.JSONDecodeError, OSError, ValueError, PrivilegeError) as error:
        sys.stderr.write(f"log of splices {os.getpid()}: {error}\n")
        return 2
    succession.leave(run(Writer(ring, log, log_format, node, left), log, pin))
    return 0


def run(writer: Writer, log: AccessLog, pin: int) -> list[bytes]:
    """Log until SIGTERM, or until there is neither a node nor the datapath; return what is not finished. pin: file
    descriptor of where the ring is pinned."""
    ended = list[int]()
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    signal.signal(signal.SIGHUP, lambda *_: log.reopen())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node's
    log.start()
    gc.collect()
    gc.freeze()
    while not ended:
        started = time.monotonic()
        detached = not os.fstat(pin).st_nlink  # looked at before the ring is: nobody writes to it then
        if not writer.turn():
            if detached and writer.is_alone:
                break
            writer.wait(max(0.0, started + EVERY - time.monotonic()))
    return writer.close()


if __name__ == "__main__":
    sys.exit(main())
