"""`unilb control` as a process of its own, for tests that drive it from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.control.admin.conftest import KEY
from tests.ports import unused_port

ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = "import sys; from userspace.cli import main; sys.exit(main())"


@contextmanager
def control_process(directory: Path) -> Iterator[tuple[str, str]]:
    """The URLs of its Admin API and its Control API. It must end well and leave nothing on standard error."""
    port = unused_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _PROGRAM, "control", "--store", f"sqlite://{directory}/store.db"),
            *("--listen", "127.0.0.1:0", "--control-listen", f"127.0.0.1:{port}"),
            *("--audit-log", str(directory / "audit.log")),
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "UNILB_ADMIN_KEY": KEY},
    )
    assert process.stderr is not None
    try:
        address = process.stderr.readline().removeprefix("unilb control: listening on ").strip()
        yield f"http://{address}", f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")
