"""`unilb run` before one endpoint, on ports of its own."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import unused_port

KEY = "clients-admin-key"


@dataclass(frozen=True, slots=True)
class Place:
    """`url`: of the data plane, `tls` with TLS, as NAME."""

    url: str
    tls: str
    admin: str
    state: str

    def put(self, path: str, doc: Any) -> None:
        """Store an object below /apisix/admin, and wait until every worker serves it; raises for what is refused."""
        request = urllib.request.Request(
            f"{self.admin}/apisix/admin/{path}", json.dumps(doc).encode(), {"X-API-KEY": KEY}, method="PUT"
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            revision = int(reply.headers["X-Unilb-Revision"])
        deadline = time.monotonic() + 30
        while min(json.load(urllib.request.urlopen(self.state, timeout=10))["workers"].values()) < revision:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@contextmanager
def running(folder: Path, *more: str) -> Iterator[Place]:
    """Run it with two workers until the block ends."""
    data, tls, admin, metrics = (unused_port() for _ in range(4))
    argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(folder / "data"), "--admin-key", KEY]
    argv += ["--listen", f"127.0.0.1:{data}", "--admin-listen", f"127.0.0.1:{admin}", "--workers", "2"]
    argv += ["--metrics", f"127.0.0.1:{metrics}", "--access-log", "off", "--control-listen", "off", *more]
    argv += ["--listen-tls", f"127.0.0.1:{tls}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{metrics}/healthz", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        yield Place(
            url=f"http://127.0.0.1:{data}",
            tls=f"https://localhost:{tls}",
            admin=f"http://127.0.0.1:{admin}",
            state=f"http://127.0.0.1:{metrics}/healthz",
        )
    finally:
        process.terminate()
        process.wait(40)
