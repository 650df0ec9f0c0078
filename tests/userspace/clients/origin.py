"""An endpoint that answers with what it got: `GET /echo`, and bodies of `/body/SIZE`, counted or in chunks."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

BLOCK = bytes(range(256)) * 64


def body(size: int) -> bytes:
    """The body of /body/SIZE."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _received(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _echo(self) -> None:
        received = self._received()
        said = {
            "method": self.command,
            "target": self.path,
            "size": len(received),
            "sha256": hashlib.sha256(received).hexdigest(),
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        self._answer(json.dumps(said).encode())

    def _answer(self, whole: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        chunked = self.path.startswith("/chunked/")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if not chunked:
            self.wfile.write(whole)
            return
        for start in range(0, len(whole), 50_000):
            piece = whole[start : start + 50_000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self) -> None:
        kind, _, size = self.path.partition("?")[0].lstrip("/").partition("/")
        if kind in ("body", "chunked") and size.isdigit():
            self._answer(body(int(size)))
        else:
            self._echo()

    do_HEAD = do_GET
    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _echo

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running() -> Iterator[int]:
    """Serve until the block ends; yield the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
