"""HTTP from inside a machine: one exchange on one connection, for probes, publishing and tests."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from userspace.lab.exec import connect
from userspace.lab.lab import Lab


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers`: lower-case names; of a repeated header, the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    lab: Lab,
    place: str,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5,
) -> Reply:
    """One request made in a machine or VM; `url`: http://address[:port]/path?query. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    connection.sock = connect(lab, place, (host, port), timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, names, response.read())
    finally:
        connection.close()
