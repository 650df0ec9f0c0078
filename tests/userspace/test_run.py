"""`unilb run`: the two-minute start, as somebody without any privilege would make it."""

import http.server
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import unused_port
from userspace.run import KEY_FILE, admin_key


class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"origin {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ports() -> list[int]:
    return [unused_port() for _ in range(3)]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A directory that belongs to nobody: when the tests run as root, unilb does not."""
    folder = tmp_path / "data"
    folder.mkdir()
    if os.getuid() == 0:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            parent.chmod(0o755)
    return folder


@contextmanager
def running(data_dir: Path, ports: list[int], *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run it until the block ends; yield the process and what it printed before it was ready."""
    argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(data_dir), "--access-log", "off", *more]
    argv += ["--listen", f"127.0.0.1:{ports[0]}", "--admin-listen", f"127.0.0.1:{ports[1]}"]
    argv += ["--metrics", f"127.0.0.1:{ports[2]}"]
    user = "nobody" if os.getuid() == 0 else None
    log = (data_dir.parent / "log").open("w+")
    process = subprocess.Popen(
        argv, stdout=log, stderr=log, text=True, user=user, cwd="/", env=os.environ | {"HOME": "/"}
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{ports[2]}/healthz").close()
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None, Path(log.name).read_text()
                time.sleep(0.05)
        yield process, Path(log.name).read_text()
    finally:
        was_running = process.poll() is None
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        log.close()
        assert code == 0 or not was_running, Path(log.name).read_text()


def put(port: int, key: str, path: str, body: object) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"X-API-KEY": key}, method="PUT"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def get(port: int, path: str) -> str:
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            assert error.code == 404 and time.monotonic() < deadline
            time.sleep(0.02)


def test_a_newcomer_publishes_a_route_and_finds_it_after_a_restart(
    data_dir: Path, ports: list[int], origin: int
) -> None:
    with running(data_dir, ports) as (_, printed):
        key = re.search(r"admin key\s+(\S+)", printed)
        assert key is not None
        upstream = {"type": "roundrobin", "nodes": {f"127.0.0.1:{origin}": 1}}
        assert put(ports[1], "wrong-key-wrong", "/apisix/admin/routes/1", {"uri": "/*", "upstream": upstream}) == 401
        assert put(ports[1], key[1], "/apisix/admin/routes/1", {"uri": "/*", "upstream": upstream}) == 201
        assert get(ports[0], "/hello") == "origin /hello"
    with running(data_dir, ports) as (_, printed):
        assert key[1] not in printed
        assert get(ports[0], "/again") == "origin /again"


def test_a_killed_process_loses_nothing(data_dir: Path, ports: list[int], origin: int) -> None:
    upstream = {"type": "roundrobin", "nodes": {f"127.0.0.1:{origin}": 1}}
    given = ("--admin-key", "given-by-hand", "--workers", "2")
    with running(data_dir, ports, *given) as (process, printed):
        assert "given-by-hand" not in printed
        assert put(ports[1], "given-by-hand", "/apisix/admin/routes/1", {"uri": "/*", "upstream": upstream}) == 201
        assert get(ports[0], "/before") == "origin /before"
        process.kill()
        process.wait()
        # Its workers serve on without it.
        assert get(ports[0], "/alone") == "origin /alone"
    with running(data_dir, ports, *given):
        assert get(ports[0], "/back") == "origin /back"


def test_a_route_shows_the_metrics_and_requests_count_where_the_plugin_is(
    data_dir: Path, ports: list[int], origin: int
) -> None:
    given = ("--admin-key", "given-by-hand", "--workers", "2")
    upstream = {"type": "roundrobin", "nodes": {f"127.0.0.1:{origin}": 1}}
    with running(data_dir, ports, *given):
        for path, body in {
            "services/s": {"name": "shop", "upstream": upstream},
            "routes/1": {"uri": "/counted/*", "service_id": "s", "plugins": {"prometheus": {"prefer_name": True}}},
            "routes/2": {"uri": "/other", "service_id": "s"},
            "routes/m": {"uri": "/metrics", "plugins": {"public-api": {"uri": "/apisix/prometheus/metrics"}}},
        }.items():
            assert put(ports[1], "given-by-hand", f"/apisix/admin/{path}", body) == 201
        get(ports[0], "/metrics")
        for number in range(4):
            get(ports[0], f"/counted/{number}")
        get(ports[0], "/other")
        counted = 'apisix_http_status{code="200",route="1",matched_uri="/counted/*",matched_host="",service="shop"'
        deadline = time.monotonic() + 5
        while not re.search(re.escape(counted) + r".*} 4\n", text := get(ports[0], "/metrics")):
            assert time.monotonic() < deadline, text
        assert 'apisix_http_status{code="200",route="2"' not in text
        assert 'unilb_route_bytes_total{route="2",' in text
        assert "apisix_etcd_reachable 1\n" in text
        assert counted in get(ports[2], "/metrics") and counted in get(ports[2], "/apisix/prometheus/metrics")


def test_the_made_key_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    key, made = admin_key(tmp_path, None)
    assert made and len(key) >= 32
    assert admin_key(tmp_path, None) == (key, False)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert admin_key(tmp_path, "given") == ("given", False)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--admin-key", "short"), "fewer than"),
        (("--listen", "nowhere"), "'nowhere' is not HOST:PORT"),
        (("--set", "speed=1"), "unknown setting speed"),
        (("--set", "max_connections=0"), "max_connections must be between"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, option: tuple[str, str], says: str) -> None:
    argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(tmp_path), *option]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2
    assert says in done.stderr
