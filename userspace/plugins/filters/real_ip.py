"""real-ip: the client's address is taken from the request. For everything after it, that is the client."""

from userspace.http.real_ip import parse_client
from userspace.http.request import Request
from userspace.net import Networks
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.outcome import Outcome


class RealIp(Filter):
    NAME = "real-ip"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._source: str = conf["source"]
        trusted = conf.get("trusted_addresses")
        self._trusted = Networks(trusted, strict=False) if trusted else None

    def rewrite(self, request: Request) -> Outcome:
        if self._trusted is not None and request.remote_addr not in self._trusted:
            return None
        text = self._told(request)
        told = parse_client(text) if text is not None else None
        if told is not None:
            request.remote_addr, request.remote_port = told[0], told[1] or 0
        return None

    def _told(self, request: Request) -> str | None:
        if self._source != "http_x_forwarded_for":
            return request.var(self._source)
        fields = request.header_values(b"x-forwarded-for")
        if not fields:
            return None
        # The last field, as APISIX has it: what stands before was written by whom the last proxy did not check.
        chain = [part.strip() for part in fields[-1].decode("latin-1").split(",")]
        if self.conf["recursive"] and self._trusted is not None:
            for address in reversed(chain[1:]):
                told = parse_client(address)
                if told is None or told[0] not in self._trusted:
                    return address
            return chain[0]
        return chain[-1]
