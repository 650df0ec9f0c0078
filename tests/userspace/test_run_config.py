"""`unilb run -c FILE`: the real program, and a file that people edit while requests go on."""

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.userspace.test_run import origin, ports

__all__ = ["origin", "ports"]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that belongs to nobody, in one that it may enter: pytest closes its own to all but their owner."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        data = Path(folder, "data")
        data.mkdir()
        if os.getuid() == 0:
            os.chown(data, pwd.getpwnam("nobody").pw_uid, -1)
        yield data


@contextmanager
def running(data_dir: Path, ports: list[int], file: Path, *more: str) -> Iterator[Path]:
    """Run it, without privilege, until the block ends; yield what it writes to standard output and error."""
    argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "-c", str(file), "--data-dir", str(data_dir), *more]
    argv += ["--access-log", "off", "--listen", f"127.0.0.1:{ports[0]}", "--metrics", f"127.0.0.1:{ports[2]}"]
    printed = data_dir.parent / "log"
    with printed.open("w") as log:
        process = subprocess.Popen(
            argv,
            stdout=log,
            stderr=log,
            user="nobody" if os.getuid() == 0 else None,
            cwd="/",
            env=os.environ | {"HOME": "/"},
        )
    try:
        wait_until("ready", lambda: process.poll() is not None or is_ready(ports[2]))
        assert process.poll() is None, printed.read_text()
        yield printed
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0, printed.read_text()


def is_ready(port: int) -> bool:
    try:
        return health(port)["ready"] is True
    except OSError:
        return False


def config(origin: int, *paths: str) -> str:
    routes = "".join(f"  - uri: {path}\n    upstream: {{nodes: {{'127.0.0.1:{origin}': 1}}}}\n" for path in paths)
    return f"routes:\n{routes}#END\n"


def write(file: Path, text: str) -> None:
    fresh = file.with_name("fresh")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(file)


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def health(port: int) -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        found: dict[str, object] = json.load(answer)
        return found


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_changed_route_takes_effect_without_a_dropped_request(data_dir: Path, ports: list[int], origin: int) -> None:
    file = data_dir.parent / "apisix.yaml"
    write(file, config(origin, "/always", "/old"))
    seen: list[int | str] = []
    done = threading.Event()

    def ask_on_and_on() -> None:
        while not done.is_set():
            try:
                seen.append(status(ports[0], "/always"))
            except OSError as error:
                seen.append(str(error))

    with running(data_dir, ports, file) as printed:
        assert "no Admin API" in printed.read_text()
        client = threading.Thread(target=ask_on_and_on)
        client.start()
        try:
            assert (status(ports[0], "/old"), status(ports[0], "/new")) == (200, 404)
            for _ in range(3):
                write(file, config(origin, "/always", "/new"))
                wait_until("the new route", lambda: status(ports[0], "/new") == 200)
                assert status(ports[0], "/old") == 404
                write(file, config(origin, "/always", "/old"))
                wait_until("the old route", lambda: status(ports[0], "/old") == 200)
        finally:
            done.set()
            client.join()
        assert len(seen) > 10 and set(seen) == {200}
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", ports[1]), 1):
            pass


def test_a_bad_file_leaves_the_last_good_one_in_force_and_says_why(
    data_dir: Path, ports: list[int], origin: int
) -> None:
    file = data_dir.parent / "apisix.yaml"
    good = config(origin, "/a")
    write(file, good)
    with running(data_dir, ports, file) as printed:
        for bad, says in (
            (good.replace("uri", "?"), "line 2"),
            (good.replace("#END\n", ""), "#END"),
            (good[:20], "#END"),
            ("rotues: []\n#END\n", 'line 1: unknown kind "rotues"'),
            (good.replace("/a", "5"), 'route [arr_1]: invalid configuration: property "uri"'),
        ):
            write(file, bad)
            wait_until(says, lambda says=says: says in str(health(ports[2])["store_error"]))
            assert status(ports[0], "/a") == 200
            assert says in printed.read_text()
        write(file, config(origin, "/b"))
        wait_until("the good file", lambda: status(ports[0], "/b") == 200)
        assert health(ports[2])["store_error"] == ""
        write(file, "!")
    # It is bad at the next start too.
    with running(data_dir, ports, file):
        assert status(ports[0], "/b") == 200
        assert "last good content" in str(health(ports[2])["store_error"])


def test_without_any_good_file_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("routes:\n  - {a\n")
    argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(tmp_path / "d"), "-c"]
    for name, says in (("bad.yaml", "bad.yaml: line 3"), ("none.yaml", "none.yaml: No such file")):
        done = subprocess.run([*argv, str(tmp_path / name)], capture_output=True, text=True)
        assert done.returncode == 1 and says in done.stderr


def test_options_of_the_admin_api_do_not_go_with_a_file(tmp_path: Path) -> None:
    argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "-c", "x", "--admin-key", "k", "--data-dir", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2 and "there is no Admin API" in done.stderr


def test_the_control_api_shows_the_file_without_its_secrets(data_dir: Path, ports: list[int], origin: int) -> None:
    file = data_dir.parent / "apisix.yaml"
    secret = "  - id: 1\n    plugins: {basic-auth: {}, csrf: {key: a-secret}}\n    uri: /x\n"
    write(file, f"routes:\n{secret}#END\n")
    listen = f"127.0.0.1:{ports[1]}"
    with (
        running(data_dir, ports, file, "--control-listen", listen),
        urllib.request.urlopen(f"http://{listen}/v1/route/1") as answer,
    ):
        shown = answer.read()
    assert json.loads(shown)["value"]["uri"] == "/x" and b"a-secret" not in shown
