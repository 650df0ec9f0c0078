"""wrk on the client machine of a region, and what it saw."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from userspace.lab.exec import run
from userspace.lab.lab import Lab

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Seen:
    """Requests per second, and the times in ms that shares of the answers took at most."""

    requests: float
    p50: float
    p99: float
    p999: float


def wrk(lab: Lab, url: str, connections: int, seconds: int, *headers: str) -> Seen:
    """Load `url` with one thread. Says so on standard error when an answer was not 2xx or a connection broke."""
    argv = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}",
        "--latency",
        "-s",
        str(Path(__file__).with_suffix(".lua")),
    ]
    for header in headers:
        argv += ["-H", header]
    out = run(lab, "client", [*argv, url], timeout=seconds + 30).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        print(f"{url}: {out}", file=sys.stderr)
    return seen(out)


def seen(out: str) -> Seen:
    """Read what wrk printed. Raises ValueError when a figure is missing."""
    return Seen(
        requests=float(_found(r"Requests/sec:\s+([\d.]+)()", out)[0]),
        p50=_milliseconds(_found(r"50%\s+([\d.]+)(us|ms|s)", out)),
        p99=_milliseconds(_found(r"99%\s+([\d.]+)(us|ms|s)", out)),
        p999=_milliseconds(_found(r"p999 ([\d.]+) (us)", out)),
    )


def _found(pattern: str, out: str) -> tuple[str, str]:
    found = re.search(pattern, out)
    if found is None:
        raise ValueError(f"wrk did not print {pattern}: {out}")
    return found[1], found[2]


def _milliseconds(found: tuple[str, str]) -> float:
    return float(found[0]) * _MILLISECONDS[found[1]]
