"""userspace/lab/nginx.py: the endpoints, asked by a client of the lab."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from userspace.lab import nginx
from userspace.lab.client import Reply, request
from userspace.lab.exec import connect, run
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns
WEB = "http://10.1.0.21"


def ask(lab: Lab, method: str, path: str, **more: Any) -> Reply:
    return request(lab, "client", method, WEB + path, **more)


def test_it_tells_who_it_is_and_what_it_saw(webs: Lab) -> None:
    sent = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "User-Agent": "tester", "Cookie": "UNILB=x"}
    answer = ask(webs, "GET", "/some/path?q=1", headers=sent).json()
    assert isinstance(answer.pop("remote_port"), int)
    assert answer == {
        "machine": "web1",
        "vpc": None,
        "vni": None,
        "remote": "203.0.113.9",
        "method": "GET",
        "uri": "/some/path?q=1",
        "host": "10.1.0.21",
        "x_forwarded_for": "192.0.2.1",
        "x_forwarded_proto": "https",
        "x_forwarded_host": None,
        "user_agent": "tester",
        "cookie": "UNILB=x",
    }


def logged(lab: Lab, place: str, uri: str) -> dict[str, Any]:
    """The one line of the access log about `uri`: nginx writes it after it has answered."""
    deadline = time.monotonic() + 5
    while True:
        entries = [json.loads(line) for line in nginx.access_log(lab, place).read_text().splitlines()]
        found = [entry for entry in entries if entry["uri"] == uri]
        if found or time.monotonic() > deadline:
            (entry,) = found
            return entry
        time.sleep(0.01)


def test_a_value_that_needs_escaping_is_marked_in_the_answer_and_exact_in_the_log(webs: Lab) -> None:
    hostile = 'say "x" \\ and\ttab'
    answer = ask(webs, "GET", "/escaped", headers={"User-Agent": hostile}).json()
    assert answer["user_agent"] == "?"
    assert logged(webs, "web1", "/escaped")["user_agent"] == hostile


def test_the_log_tells_the_peer(webs: Lab) -> None:
    with connect(webs, "client", ("10.2.0.22", 80)) as sock:
        sock.sendall(b"GET /logged HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        address, port = sock.getsockname()
    entry = logged(webs, "web2", "/logged")
    assert (entry["remote"], entry["remote_port"], entry["status"], entry["nth"]) == (address, port, 200, 1)


def test_a_connection_carries_very_many_requests(webs: Lab) -> None:
    with connect(webs, "client", ("10.1.0.21", 80)) as sock, sock.makefile("rb") as answers:
        for _ in range(2000):  # nginx's own default ends a connection after 1000
            sock.sendall(b"HEAD /size/1 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            while (line := answers.readline()) != b"\r\n":
                assert line != b"Connection: close\r\n"


@pytest.mark.parametrize("size", [0, 1, 1 << 10, 1 << 20])
def test_a_file_is_given_whole(webs: Lab, size: int) -> None:
    body = ask(webs, "GET", f"/size/{size}").body
    assert body == (webs.state / "files" / str(size)).read_bytes()
    assert len(body) == size


def test_a_gibibyte_is_there_and_takes_little_room(webs: Lab) -> None:
    assert ask(webs, "HEAD", f"/size/{1 << 30}").headers["content-length"] == str(1 << 30)
    assert (webs.state / "files" / str(1 << 30)).stat().st_blocks * 512 < 32 << 20


def test_a_files_strides_differ_so_that_a_moved_byte_shows(tmp_path: Path) -> None:
    nginx._write_pattern(tmp_path / "f", 1 << 20)
    strides = (tmp_path / "f").read_bytes()
    pieces = [strides[at : at + (256 << 10)] for at in range(0, 1 << 20, 256 << 10)]
    assert len(set(pieces)) == 4


def test_an_upload_is_kept_and_given_back(webs: Lab) -> None:
    body = os.urandom(3 << 20)
    assert ask(webs, "PUT", "/upload/big", body=body).status == 201
    assert (nginx.directory(webs, "web1") / "upload" / "big").read_bytes() == body
    assert ask(webs, "GET", "/upload/big").body == body
    assert ask(webs, "DELETE", "/upload/big").status == 204


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_post_is_kept_and_its_file_named(webs: Lab, framing: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(os.urandom(1 << 20))
    chunked = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    done = run(webs, "client", ["curl", "-sS", *chunked, "--data-binary", f"@{tmp_path}/body", f"{WEB}/sink"])
    stored = Path(json.loads(done.stdout)["stored"])
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256((tmp_path / "body").read_bytes()).digest()
    stored.unlink()
