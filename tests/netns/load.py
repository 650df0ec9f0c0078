"""Requests that go on in the background while a test breaks things."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from tests.netns.observe import eventually
from userspace.lab.client import request
from userspace.lab.lab import Lab

HOSTS = ("classic.example.com", "blue.example.com", "green.example.com")
THREADS = 4


class Load:
    """`answered` counts; `failed` says how each request failed for good, `retried` those that a second try saved."""

    def __init__(self, lab: Lab, address: str, tries: int) -> None:
        self.answered = 0
        self.failed: Counter[str] = Counter()
        self.retried = 0
        self._lab = lab
        self._url = f"http://{address}/load"
        self._tries = tries
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def more(self, count: int = 100) -> None:
        """Wait until `count` more requests have been answered or have failed."""
        start = self.answered + self.failed.total()
        eventually(f"{count} more requests", lambda: self.answered + self.failed.total() >= start + count, within=60)

    def stop(self) -> None:
        self._stop.set()

    def work(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            tries = [self._one(HOSTS[number % len(HOSTS)])]
            while tries[-1] and len(tries) < self._tries:
                tries.append(self._one(HOSTS[number % len(HOSTS)]))
            with self._lock:
                if tries[-1]:
                    self.failed[tries[-1]] += 1
                else:
                    self.answered += 1
                    self.retried += len(tries) > 1

    def _one(self, host: str) -> str:
        """Send one request on a connection of its own; return "" or what went wrong."""
        try:
            reply = request(self._lab, "client", "GET", self._url, headers={"Host": host}, timeout=30)
        except (OSError, HTTPException) as error:
            return f"{host}: {error!r}"
        return "" if reply.status == 200 else f"{host}: {reply.status} {reply.body!r}"


@contextmanager
def load(lab: Lab, address: str, tries: int = 1) -> Iterator[Load]:
    """Keep THREADS requests under way, each on a new connection of the client's, for as long as the block runs."""
    found = Load(lab, address, tries)
    threads = [threading.Thread(target=found.work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        found.more()
        yield found
        found.more()
    finally:
        found.stop()
        for thread in threads:
            thread.join()
