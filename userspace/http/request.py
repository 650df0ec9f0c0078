"""Request: one request as conditions, hashing, plugins and logs see it, and what plugins make of it."""

from typing import Any, NamedTuple

from userspace.http.body_variables import BodyWanted
from userspace.http.events import Headers, RequestHead
from userspace.http.forms import urlencoded
from userspace.http.variables import lookup


class Tls(NamedTuple):
    """What is known of a TLS connection once its handshake is over. `client_verify` is nginx's $ssl_client_verify."""

    server_name: str
    protocol: str
    cipher: str
    session_id: str
    client_verify: str = "NONE"
    client_subject: str = ""
    client_issuer: str = ""
    client_serial: str = ""
    client_fingerprint: str = ""
    client_cert: str = ""
    alpn: str = ""
    resumed: bool = False
    client_begin: str = ""
    client_end: str = ""


class Peer(NamedTuple):
    """Who is connected, and to what. `field` is `address` as bytes; `trusted` says whether its word about others counts
    (X-Forwarded-*; None: no trusted addresses are configured); `server_*` is the end it connected to."""

    address: str
    field: bytes
    port: int
    server_address: str
    server_port: int
    trusted: bool | None
    scheme: str = "http"
    tls: Tls | None = None


class Request:
    """The defaults stand in the class: most requests change few of them, and making one is part of each one's cost.

    `method`, `path`, `query` and `host` are what routing decided by. What an endpoint gets differs where a plugin says
    so: `upstream_path` (encoded, without query), `upstream_query` (without `?`), `upstream_host`, `upstream_scheme`,
    `upstream_slot`, and the headers, which are changed in place. `remote_addr` and `remote_port` are the client's as
    far as it is known: plugin real-ip changes them. `state` holds what a plugin notes for its later phases.
    """

    route: Any = None  # the CompiledRoute, once matched
    consumer: Any = None  # the Consumer, once known
    consumer_name: str | None = None
    upstream_path: bytes | None = None
    upstream_query: bytes | None = None
    upstream_host: bytes | None = None
    sent_host: bytes | None = None  # the Host that went out, where the upstream says which
    upstream_scheme: str | None = None
    upstream_slot: Any = None  # another UpstreamSlot than the route's
    endpoint: Any = None  # the Endpoint, once picked
    body: bytes | None = None  # the whole body, where somebody asked for it; b"" also for one that is too long
    max_body_bytes: int = 0  # 0: the listener's limit
    response: Any = None  # the Response, from the header filters on
    summary: Any = None  # the Summary, in the log phase
    _params: dict[str, str] | None = None
    forwarded: frozenset[bytes] = frozenset()  # the X-Forwarded-* that plugins changed: they count whoever sent them
    _state: dict[str, Any] | None = None
    _arguments: dict[str, list[str]] | None = None
    _cookies: dict[str, str] | None = None

    def __init__(self, head: RequestHead, peer: Peer) -> None:
        self.head: RequestHead = head
        self.peer: Peer = peer
        self.method: str = head.method
        self.path: str = head.path
        self.query: bytes = head.query
        self.host: str = head.host
        self.remote_addr: str = peer.address
        self.remote_port: int = peer.port

    @property
    def scheme(self) -> str:
        """That of the connection: "http" or "https"."""
        return self.peer.scheme

    @property
    def state(self) -> dict[str, Any]:
        """Notes of plugins, by their names."""
        if self._state is None:
            self._state = {}
        return self._state

    # How it found its route: looked up when asked, for few do.

    @property
    def matched_uri(self) -> str | None:
        """The uri of the route that matched, as it is written there."""
        return None if self.route is None else self.route.matched_uri(self.path)

    @property
    def matched_host(self) -> str | None:
        """The host pattern of the route that matched; None when it has none."""
        return None if self.route is None else self.route.matched_host(self.host)

    @property
    def params(self) -> dict[str, str]:
        """What `:name` and `*name` in that uri took of the path."""
        if self._params is None:
            self._params = {} if self.route is None else self.route.taken(self.path)
        return self._params

    # Headers: names are given in lower case and compared without case.

    def header(self, name: bytes) -> bytes | None:
        """The value of the first field called `name`, or None."""
        for field, value in self.head.headers:
            if field.lower() == name:
                return value
        return None

    def header_values(self, name: bytes) -> list[bytes]:
        """The values of all fields called `name`, in order."""
        return [value for field, value in self.head.headers if field.lower() == name]

    def set_header(self, name: bytes, value: bytes) -> None:
        """Leave one field called `name`, with `value`, where the first one was, else at the end."""
        lower = name.lower()
        kept: Headers = []
        is_set = False
        for pair in self.head.headers:
            if pair[0].lower() != lower:
                kept.append(pair)
            elif not is_set:
                kept.append((name, value))
                is_set = True
        if not is_set:
            kept.append((name, value))
        self._replace_headers(kept, lower)

    def add_header(self, name: bytes, value: bytes) -> None:
        """Add a field, also where there is one called `name`."""
        self._replace_headers([*self.head.headers, (name, value)], name.lower())

    def remove_header(self, name: bytes) -> None:
        """Remove all fields called `name`."""
        lower = name.lower()
        self._replace_headers([pair for pair in self.head.headers if pair[0].lower() != lower], lower)

    def _replace_headers(self, headers: Headers, changed: bytes) -> None:
        if changed.startswith(b"x-forwarded-"):
            self.forwarded |= {changed}
        self.head.headers = headers
        self._cookies = None

    # What is inside them.

    def cookie(self, name: str) -> str | None:
        """The value of the first cookie called `name` (case counts), or None."""
        if self._cookies is None:
            self._cookies = _cookies(self.header_values(b"cookie"))
        return self._cookies.get(name)

    def arg(self, name: str) -> str | None:
        """The first value of the query's argument `name`, decoded; "" when it has none; None when it is not there."""
        if self._arguments is None:
            self._arguments = urlencoded(self.query)
        values = self._arguments.get(name)
        return values[0] if values is not None else None

    def wanted_body(self) -> bytes:
        """The whole body. Raises BodyWanted while it is not there; of one that is too long there is nothing."""
        if self.body is not None:
            return self.body
        if self.head.body == 0:
            return b""
        raise BodyWanted

    def set_query(self, query: bytes) -> None:
        """Change the query, for endpoints too; b"" leaves none."""
        self.query = self.upstream_query = query
        self._arguments = None

    def var(self, name: str) -> str | None:
        """The value of the variable `name` (see variables.py), or None when there is none."""
        return lookup(self, name)


def _cookies(fields: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in fields:
        for pair in field.split(b";"):
            name, equals, value = pair.partition(b"=")
            if equals:
                text = value.strip(b' \t"').decode("utf-8", "surrogateescape")
                found.setdefault(name.strip(b" \t").decode("utf-8", "surrogateescape"), text)
    return found
