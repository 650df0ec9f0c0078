"""A client of the Admin API: one connection, blocking."""

import http.client
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from control.ctl.kinds import BY_NAME, Kind

Doc = dict[str, Any]

# Seconds for connecting, and between two pieces of an answer: a listing of 100,000 objects takes its time.
TIMEOUT = 60.0
# A few objects of a kind are read one by one, more of them with one listing.
ONE_BY_ONE = 20


class Refused(Exception):
    """The server understood and said no. `str(error)` is its text."""


class Trouble(Exception):
    """No use to go on: nobody answers, the key is wrong, or the server cannot do its work."""


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """`url`: http or https, without a path. `cacert`: PEM file; None for the system's. `key` may be empty."""

    url: str
    key: str
    cacert: str | None = None
    insecure: bool = False


class Api:
    """Close it when done. Raises Trouble from every method, Refused from writes and listings."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = _connection(server)

    def close(self) -> None:
        self._connection.close()

    def get(self, kind: Kind, id: str) -> Doc | None:
        """One object, or None if there is none."""
        status, doc = self.ask("GET", _path(kind, id))
        if status == 404:
            return None
        _check(status, doc)
        value: Doc = doc["value"]
        return value

    def list(self, kind: Kind) -> dict[str, Doc]:
        """All objects of a kind by id. A server that does not have the kind raises Refused."""
        if kind.collection == "credentials":
            return self._credentials()
        return self._listed(kind, kind.path)

    def find(self, kind: Kind, ids: Iterable[str]) -> dict[str, Doc]:
        """Those of `ids` that exist, and perhaps others."""
        wanted = list(ids)
        if len(wanted) > ONE_BY_ONE:
            return self.list(kind)
        found = {id: self.get(kind, id) for id in wanted}
        return {id: doc for id, doc in found.items() if doc is not None}

    def put(self, kind: Kind, id: str, doc: Doc) -> None:
        _check(*self.ask("PUT", _path(kind, id), doc))

    def delete(self, kind: Kind, id: str, force: bool = False) -> bool:
        """False if there was nothing to delete."""
        status, doc = self.ask("DELETE", _path(kind, id) + ("?force=true" if force else ""))
        if status != 404:
            _check(status, doc)
        return status != 404

    def ask(self, method: str, path: str, body: Doc | None = None) -> tuple[int, Any]:
        """Send one request; the status and the JSON of the answer, {} if it has none."""
        raw = json.dumps(body).encode() if body is not None else None
        headers = {"X-API-KEY": self._server.key} if self._server.key else {}
        for attempt in ("on the connection that is there", "on a new one"):
            is_fresh = self._connection.sock is None
            try:
                self._connection.request(method, path, raw, headers)
                answer = self._connection.getresponse()
                return answer.status, _json(answer.status, answer.read())
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                # A connection that lay idle may have been closed meanwhile. Each request may be sent twice.
                if is_fresh or attempt == "on a new one" or isinstance(error, TimeoutError):
                    raise Trouble(f"{self._server.url}: {_text(error)}") from None
        raise AssertionError("unreachable")

    def _credentials(self) -> dict[str, Doc]:
        kind = BY_NAME["credentials"]
        found: dict[str, Doc] = {}
        for consumer in self.list(BY_NAME["consumers"]):
            found |= self._listed(kind, f"{kind.path}/{quote(consumer)}/credentials")
        return found

    def _listed(self, kind: Kind, path: str) -> dict[str, Doc]:
        status, doc = self.ask("GET", path)
        if status == 404 and "error_msg" not in doc:
            return {}
        _check(status, doc)
        return {entry["key"].removeprefix(kind.prefix): entry["value"] for entry in doc["list"]}


def _path(kind: Kind, id: str) -> str:
    return f"{kind.path}/{quote(id)}"


def _connection(server: Server) -> http.client.HTTPConnection:
    """Raises ValueError for a bad URL, OSError for a bad file of authorities."""
    parts = urlsplit(server.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"server: expected http://HOST:PORT or https://HOST:PORT, got {server.url!r}")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port or 9180, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=server.cacert)
    if server.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=TIMEOUT, context=context)


def _json(status: int, raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw.strip() else {}
    except ValueError:
        # Not the Admin API's own words: a proxy's, or another server altogether.
        return {"error_msg": f"answered {status} with {raw[:200].decode(errors='replace').strip()!r}"}


def _check(status: int, doc: Any) -> None:
    if status < 300:
        if not isinstance(doc, dict) or not doc.keys() & {"value", "list", "deleted"}:
            raise Trouble("the answer is not one of an Admin API")
        return
    said = doc if isinstance(doc, dict) else {}
    text = str(said.get("error_msg") or said.get("message") or f"status {status}")
    if status in (401, 403):
        raise Trouble(f"{text}: {said.get('description', status)} (--key, UNILB_ADMIN_KEY)")
    # 503 is also what two writers at once get.
    if status == 429 or (status >= 500 and "value changed" not in text):
        raise Trouble(text)
    raise Refused(text)


def _text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
