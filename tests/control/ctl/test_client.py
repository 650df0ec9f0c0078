import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from control.ctl.client import Api, Refused, Server, Trouble
from control.ctl.kinds import BY_NAME
from tests.control.ctl.conftest import KEY, Running

ROUTES = BY_NAME["routes"]


@contextmanager
def answering(answers: list[tuple[int, Any]], context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers in turn, the last one for ever; and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client(url: str, **more: Any) -> Iterator[Api]:
    api = Api(Server(url, KEY, **more))
    try:
        yield api
    finally:
        api.close()


def test_objects_are_written_read_listed_and_deleted(api: Api) -> None:
    assert api.list(ROUTES) == {} and api.get(ROUTES, "1") is None
    api.put(ROUTES, "1", {"uri": "/", "upstream": {"nodes": {"127.0.0.1:1": 1}}})
    found = api.get(ROUTES, "1")
    assert found is not None and found["uri"] == "/"
    assert api.list(ROUTES) == {"1": found} == api.find(ROUTES, ["1", "2"])
    assert api.delete(ROUTES, "1") and not api.delete(ROUTES, "1")


def test_many_objects_are_found_with_one_listing() -> None:
    listing = {"list": [{"key": "/apisix/routes/r1", "value": {"uri": "/"}}], "total": 1}
    with answering([(200, listing)]) as (url, asked), client(url) as api:
        assert api.find(ROUTES, [f"r{n}" for n in range(100)]) == {"r1": {"uri": "/"}}
    assert asked == ["GET /apisix/admin/routes"]


def test_credentials_are_gathered_from_their_consumers() -> None:
    consumers = {"list": [{"key": f"/apisix/consumers/{n}", "value": {"username": n}} for n in ("jack", "jill")]}
    credential = {"list": [{"key": "/apisix/consumers/jack/credentials/c", "value": {"plugins": {}}}]}
    answers = [(200, consumers), (200, credential), (404, {"message": "Key not found"})]
    with answering(answers) as (url, asked), client(url) as api:
        assert api.list(BY_NAME["credentials"]) == {"jack/credentials/c": {"plugins": {}}}
    assert asked[1:] == ["GET /apisix/admin/consumers/jack/credentials", "GET /apisix/admin/consumers/jill/credentials"]


def test_what_the_server_says_no_to_is_told_in_its_words(api: Api) -> None:
    with pytest.raises(Refused, match='property "uri" is required|value should match only one schema'):
        api.put(ROUTES, "1", {})
    with pytest.raises(Refused, match="failed to fetch upstream info by upstream id"):
        api.put(ROUTES, "1", {"uri": "/", "upstream_id": "none"})


def test_a_wrong_key_ends_it_and_is_not_shown(server: Running) -> None:
    api = Api(Server(server.url, "not-the-right-key"))
    with pytest.raises(Trouble, match="wrong apikey") as caught:
        api.list(ROUTES)
    api.close()
    assert "not-the-right-key" not in str(caught.value) + repr(Server("http://a", "not-the-right-key"))


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (503, {"error_msg": "no endpoint answers"}, Trouble, "no endpoint answers"),
        (503, {"error_msg": "value changed before overwritten"}, Refused, "value changed"),
        (429, {}, Trouble, "status 429"),
        (502, b"<html>Bad Gateway</html>", Trouble, "answered 502 with '<html>"),
        (200, b"<html>hello</html>", Trouble, "not one of an Admin API"),
        (404, {"error_msg": "Unsupported resource type: routes"}, Refused, "Unsupported resource"),
    ],
)
def test_an_answer_that_does_not_help_is_told_apart(status: int, body: Any, error: type[Exception], says: str) -> None:
    with answering([(status, body)]) as (url, _), client(url) as api, pytest.raises(error, match=says):
        api.list(ROUTES)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(api: Api) -> None:
    api.list(ROUTES)
    sock = api._connection.sock
    assert sock is not None
    sock.shutdown(socket.SHUT_RDWR)
    assert api.list(ROUTES) == {}


def test_nobody_there_is_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with client(f"http://127.0.0.1:{port}") as api, pytest.raises(Trouble, match="refused"):
        api.list(ROUTES)


@pytest.mark.parametrize("url", ["127.0.0.1:9180", "ftp://a", "http://", "http://a/path", "http://a?x=1"])
def test_a_bad_url_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="server: expected http"):
        Api(Server(url, KEY))


def test_ids_are_quoted_in_paths() -> None:
    with answering([(404, {})]) as (url, asked), client(url) as api:
        api.get(ROUTES, "a b?c#d")
        api.get(BY_NAME["secrets"], "vault/1")
    assert asked == ["GET /apisix/admin/routes/a%20b%3Fc%23d", "GET /apisix/admin/secrets/vault/1"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "both.pem"
    subprocess.run(
        [*["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"],
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", str(tmp_path / "ca.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + (tmp_path / "ca.pem").read_bytes())
    return file


def test_https_trusts_only_whom_it_is_told_to(certificate: Path, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with answering([(200, {"list": []})], context) as (url, _):
        for more in ({"cacert": str(tmp_path / "ca.pem")}, {"insecure": True}):
            with client(url, **more) as api:
                assert api.list(ROUTES) == {}
        with client(url) as api, pytest.raises(Trouble, match="certificate verify failed|self.signed"):
            api.list(ROUTES)
