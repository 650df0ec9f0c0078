"""Lines of the access log for requests that the kernel carried: a worker's fields, or its format. Pure.

What nobody here has seen is what plugins make of a request, and the head of an answer.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final, NamedTuple

import orjson

from control.model.upstream import Endpoint
from userspace.http.events import ProtocolError, RequestHead
from userspace.http.head import RequestHeadReader
from userspace.http.limits import Limits
from userspace.http.request import Peer, Request
from userspace.net import split_host_port
from userspace.node.splice_abi import STICKY, Flag
from userspace.plugins.summary import Summary
from userspace.proxy.log_format import LogFormat
from userspace.spliced.requests import Finished

CLIENT_CLOSED, BAD_GATEWAY, GATEWAY_TIMEOUT = 499, 502, 504
_NSEC: Final = 1e9
_READER: Final = RequestHeadReader(Limits())


class Owner(NamedTuple):
    """Whose requests an account counts; see SpliceAccounts.rows()."""

    route: str
    upstream: str
    endpoint: str
    vpc_id: str | None


NOBODY: Final = Owner("", "", "", None)


class Ended(NamedTuple):
    """How a request ended: what the client got, and what the endpoint said."""

    status: int
    upstream_status: int | None
    error: str | None
    source: str | None


class Lines:
    """`owner`: of an account. log_format: None for objects of JSON."""

    def __init__(self, owner: Callable[[int], Owner], log_format: LogFormat | None) -> None:
        self._owner = owner
        self._format = log_format

    def line(self, request: Finished, ahead: float) -> bytes:
        """Return the line, with its line feed. ahead: seconds by which the epoch's clock is ahead of the monotonic."""
        if not request.head:
            return self._tunnel(request, ahead)
        if self._format is not None:
            return self._format.line(self._request(request, ahead))
        head, owner, ended = parsed(request.head), self._owner(request.account), ending(request)
        ms = _ms(request)
        return orjson.dumps(
            {
                "time": datetime.fromtimestamp(_over_ns(request) / _NSEC + ahead, UTC),
                "client": address(request.client),
                "method": head.method,
                "host": head.host,
                "path": head.target.decode("ascii"),
                "status": ended.status,
                "bytes_in": request.up,
                "bytes_out": request.down,
                "request_ms": ms,
                "upstream_address": owner.endpoint or None,
                "upstream_ms": ms,
                "upstream_status": ended.upstream_status,
                "route": owner.route or None,
                "upstream": owner.upstream or None,
                "endpoint": owner.endpoint or None,
                "vpc_id": owner.vpc_id,
                "sticky": STICKY[request.logged - 1],
                "retries": 0,
                "error": ended.error,
                "error_source": ended.source,
                "revision": request.revision,
                "spliced": True,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )

    def _tunnel(self, request: Finished, ahead: float) -> bytes:
        """The end of bytes alone, whose beginning a worker has logged."""
        owner = self._owner(request.account)
        return orjson.dumps(
            {
                "time": datetime.fromtimestamp(_over_ns(request) / _NSEC + ahead, UTC),
                "client": address(request.client),
                "bytes_in": request.up,
                "bytes_out": request.down,
                "stream_ms": _ms(request),
                "route": owner.route or None,
                "upstream": owner.upstream or None,
                "endpoint": owner.endpoint or None,
                "vpc_id": owner.vpc_id,
                "error": request.why or None,
                "error_source": "internal" if request.why else None,
                "revision": request.revision,
                "splice": "opaque",
                "spliced": True,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )

    def _request(self, finished: Finished, ahead: float) -> Request:
        """Return it as variables see one."""
        owner, ended, client = self._owner(finished.account), ending(finished), address(finished.client)
        ports = (int.from_bytes(port, "big") for port in (finished.client_port, finished.server_port))
        client_port, server_port = ports
        peer = Peer(client, client.encode(), client_port, address(finished.server), server_port, None)
        request = Request(parsed(finished.head), peer)
        ms = _ms(finished)
        request.body = b""  # nobody has read it
        request.route = _Route(owner.route)
        request.endpoint = _endpoint(owner)
        request.summary = Summary(
            status=ended.status,
            started=finished.begun_ns / _NSEC + ahead,
            request_ms=ms,
            upstream_ms=ms,
            bytes_in=finished.up,
            bytes_out=finished.down,
            upstream_address=owner.endpoint or None,
            upstream_status=ended.upstream_status,
            error=ended.error,
            is_ours=False,
            connect_ms=0.0,
            header_ms=None if finished.flags & Flag.AWAITS else finished.first_us / 1000,
        )
        return request


class _Route:
    """What variables ask of a request's route: here its id is known."""

    slot = None
    name = service_id = None

    def __init__(self, id: str) -> None:
        self.id = id or None

    @property
    def route(self) -> "_Route":
        return self

    def matched_uri(self, path: str) -> None:
        return None

    def matched_host(self, host: str) -> None:
        return None

    def taken(self, path: str) -> dict[str, str]:
        return {}


def ending(request: Finished) -> Ended:
    """Return what it came to. One without an answer ended with its connection: whose end that was says the status."""
    if not request.flags & Flag.AWAITS:
        return Ended(request.status, request.status or None, None, None)
    if request.why:
        return Ended(GATEWAY_TIMEOUT if request.why == "idle" else BAD_GATEWAY, None, request.why, "internal")
    if request.flags & Flag.RESET:
        return Ended(BAD_GATEWAY, None, "reset", "upstream")
    if request.flags & Flag.FIN_DOWN:
        return Ended(BAD_GATEWAY, None, "closed", "upstream")
    return Ended(CLIENT_CLOSED, None, "gone", "client")


# Clients that keep a connection ask for the same again.
@lru_cache(maxsize=4096)
def parsed(head: bytes) -> RequestHead:
    """Read a head that the guard has let through. What the parser would refuse of one is logged as it came."""
    try:
        return _READER.read(head)
    except ProtocolError:
        method, target, _ = head.split(b" ", 2)
        path, _, query = target.partition(b"?")
        return RequestHead(
            *(method.decode("latin-1"), target, path.decode("latin-1"), query, "", "", [], "1.1"),
            *(0, True, False, None, frozenset()),
        )


@lru_cache(maxsize=4096)
def address(raw: bytes) -> str:
    """Return the text of a map's 16 bytes."""
    found = IPv6Address(raw)
    return str(found.ipv4_mapped or found)


@lru_cache(maxsize=1024)
def _endpoint(owner: Owner) -> Endpoint | None:
    if not owner.endpoint:
        return None
    host, port = split_host_port(owner.endpoint, 80)
    return Endpoint(host, port, 1, vpc_id=owner.vpc_id)


def _over_ns(request: Finished) -> int:
    return max(request.begun_ns, request.answered_ns)


def _ms(request: Finished) -> float:
    return round((_over_ns(request) - request.begun_ns) / 1e6, 3)
