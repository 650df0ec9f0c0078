"""Jobs: what a filter has delivered behind its back. Plain values; `userspace/proxy/outbox.py` does them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a job is tried again, and after how many seconds."""

    retries: int = 0
    delay: float = 1.0


ONCE = Attempts()


@dataclass(frozen=True, slots=True)
class HttpJob:
    """Send a request to `host`:`port` and read the head of the answer; a status from 400 on is a failure unless
    `any_status`. `data` is the whole request."""

    host: str
    port: int
    tls: bool
    verify: bool
    data: bytes
    timeout: float
    attempts: Attempts = ONCE
    any_status: bool = False


@dataclass(frozen=True, slots=True)
class StreamJob:
    """Write `data` to a TCP connection; over TLS to the server called `name` ("": as `host`), verified where asked."""

    host: str
    port: int
    tls: bool
    data: bytes
    timeout: float
    attempts: Attempts = ONCE
    verify: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class DatagramJob:
    """Send `data` in one UDP datagram."""

    host: str
    port: int
    data: bytes
    timeout: float
    attempts: Attempts = ONCE


@dataclass(frozen=True, slots=True)
class FileJob:
    """Append `data` to a file, opened anew each time: a rotation needs no word to us."""

    path: str
    data: bytes
    attempts: Attempts = ONCE


Job = HttpJob | StreamJob | DatagramJob | FileJob
