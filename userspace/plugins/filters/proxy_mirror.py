"""proxy-mirror: a copy of the request goes to another host, and nobody waits for what that answers."""

from typing import Final
from urllib.parse import urlsplit

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.jobs import HttpJob
from userspace.plugins.summary import Summary

MAX_BODY_BYTES: Final = 1 << 20
"""Of a request that is mirrored; one with a longer body is not, and counted as dropped."""
TIMEOUT: Final = 60.0  # seconds, APISIX's proxy_read_timeout of the mirror
_OURS: Final = frozenset((b"connection", b"content-length", b"transfer-encoding", b"host", b"upgrade", b"keep-alive"))


class ProxyMirror(Filter):
    NAME = "proxy-mirror"
    keeps_body = MAX_BODY_BYTES + 1

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        uri = urlsplit(conf["host"])
        self._tls = uri.scheme in ("https", "grpcs")
        self._host = uri.hostname or ""
        self._port = uri.port or (443 if self._tls else 80)
        self._share: float = conf["sample_ratio"]

    @classmethod
    def unserved(cls, conf: Conf) -> str | None:
        host = conf.get("host", "")
        return f'property "host": "{host}" not served by unilb' if host.startswith("grpc") else None

    def before_proxy(self, request: Request) -> None:
        if self._share >= 1 or self.env.draw() < self._share:
            request.state[self.NAME] = list(request.head.headers)

    def log(self, request: Request, summary: Summary) -> None:
        headers = request.state.get(self.NAME)
        outbox = self.env.outbox
        if headers is None or outbox is None:
            return
        body = request.body or b""
        if len(body) > MAX_BODY_BYTES:
            outbox.dropped += 1
            return
        method = request.method.encode()
        host = request.upstream_host or request.head.authority.encode()
        lines = [b"%b %b HTTP/1.1\r\nHost: %b" % (method, self._target(request), host)]
        lines += [b"%b: %b" % field for field in headers if field[0].lower() not in _OURS]
        lines.append(b"X-Real-IP: " + request.remote_addr.encode())
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        data = b"\r\n".join([*lines, b"Connection: close\r\n\r\n"]) + body
        outbox.post(HttpJob(self._host, self._port, self._tls, False, data, TIMEOUT, any_status=True), 1)

    def _target(self, request: Request) -> bytes:
        path = request.upstream_path or request.head.target.partition(b"?")[0]
        query = request.upstream_query if request.upstream_query is not None else request.query
        own = self.conf.get("path")
        if own is not None:
            path = own.encode() + path if self.conf["path_concat_mode"] == "prefix" else own.encode()
        return path + (b"?" + query if query else b"")
