"""Footprint: on which attributes of a request a decision about it depended, and their keyed hashes.

What is spliced passes by the worker, so the kernel compares every later request head with the decision's footprint
(bpf/lib/guard.h; hashes and bits are the same there, and in userspace/node/splice_abi.py).
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from userspace.http.events import Headers, RequestHead

METHOD, HOST, PATH, QUERY, COOKIE, USER_AGENT, AUTHORIZATION, EXTRA = (1 << number for number in range(8))
PEER, PORT = 1 << 8, 1 << 9
"""Who the client is and what it connected to; and its port. Both stay as they are for as long as the connection does:
nobody need compare them, but a decision about one client says nothing about another."""
ATTRIBUTES: Final = 8
ALWAYS: Final = METHOD | HOST | PATH
"""What every route is found by."""
HASHED: Final = (1 << ATTRIBUTES) - 1

_WORD: Final = (1 << 64) - 1
_HEADERS: Final = {"host": HOST, "cookie": COOKIE, "user-agent": USER_AGENT, "authorization": AUTHORIZATION}
# The guard reads these for itself, or hands back whatever has them: it does not compare their values.
_UNWATCHED: Final = frozenset(
    ("connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer")
    + ("transfer-encoding", "upgrade")
)


class Footprint(NamedTuple):
    """`mask`: of the bits above. `extra`: the name, in lower case, of the one header that EXTRA stands for."""

    mask: int = 0
    extra: str = ""


class Key(NamedTuple):
    """The secrets of the hashes, as long as `epoch` is in force. `factor` is odd. `edition` grows with every change,
    also those within one upstream."""

    seed: int
    factor: int
    epoch: int
    edition: int = 0


class Guard(NamedTuple):
    """What later requests are compared with. `hashes` by attribute, 0 for what is not there or not in `mask`.
    `decision`: stands for all of it but the path, and for what was decided."""

    mask: int
    hashes: tuple[int, ...]
    extra_name: int
    decision: int


NOTHING: Final = Footprint()


def union(footprints: Iterable[Footprint | None]) -> Footprint | None:
    """Return what all of them together depend on; None when that can not be watched: one of them can not, or two of
    them read other headers."""
    mask, extra = 0, ""
    for footprint in footprints:
        if footprint is None or (extra and footprint.extra and extra != footprint.extra):
            return None
        mask |= footprint.mask
        extra = extra or footprint.extra
    return Footprint(mask, extra)


def of_header(name: str) -> Footprint | None:
    """Return the footprint of whoever reads the header called `name`; None for one that the guard does not compare."""
    lower = name.lower().replace("_", "-")
    if lower in _UNWATCHED:
        return None
    return Footprint(_HEADERS[lower]) if lower in _HEADERS else Footprint(EXTRA, lower)


def of_variable(name: str) -> Footprint | None:
    """Return the footprint of whoever reads the variable `name` (variables.py); None for what can not be watched: parts
    of the body, what is known of the answer only, names that nobody knows."""
    mask = _VARIABLES.get(name)
    if mask is not None:
        return Footprint(mask)
    family, _, rest = name.partition("_")
    if not rest:
        return None
    if family == "http":
        return of_header(rest)
    if name.startswith("uri_param_"):
        return Footprint(PATH)
    return {"arg": Footprint(QUERY), "cookie": Footprint(COOKIE)}.get(family)


def guard_hash(seed: int, factor: int, data: bytes) -> int:
    """Return the hash of an attribute's value, 64 bits and never 0, as bpf/lib/guard_hash.h has it."""
    value = seed
    for at in range(0, len(data), 8):
        value = (value ^ int.from_bytes(data[at : at + 8], "little")) * factor & _WORD
        value = int.from_bytes(value.to_bytes(8, "little"), "big") * factor & _WORD
    return (value ^ len(data)) * factor & _WORD or 1


def name_hash(seed: int, factor: int, name: bytes) -> int:
    """Return the hash of a header's name, whose case does not matter."""
    return guard_hash(seed, factor, bytes(byte | 0x20 for byte in name))


def guard_of(
    key: Key, head: RequestHead, headers: Headers, footprint: Footprint, decided: Iterable[str]
) -> Guard | None:
    """Return the guard of a request; None when the kernel could not read it as it was read here: another form of
    target, or a watched header that is there twice. `headers`: as the client sent them. `decided`: what stands for the
    decision, and for whatever it depended on beside attributes."""
    if not head.target.startswith(b"/") or head.version != "1.1":
        return None
    path, mark, query = head.target.partition(b"?")
    values: list[bytes | None] = [head.method.encode("ascii"), None, path, mark + query or None, *[None] * 4]
    numbers = {b"host": 1, b"cookie": 4, b"user-agent": 5, b"authorization": 6}
    if footprint.mask & EXTRA:
        numbers[footprint.extra.encode("utf-8", "surrogateescape")] = 7
    for name, value in headers:
        number = numbers.get(name.lower())
        if number is None:
            continue
        if values[number] is not None:
            return None
        values[number] = value
    mask = footprint.mask & HASHED
    hashes = tuple(
        guard_hash(key.seed, key.factor, value) if value is not None and mask & 1 << number else 0
        for number, value in enumerate(values)
    )
    extra_name = name_hash(key.seed, key.factor, footprint.extra.encode()) if mask & EXTRA else 0
    return Guard(mask, hashes, extra_name, _decision(key, mask, hashes, extra_name, decided))


def _decision(key: Key, mask: int, hashes: tuple[int, ...], extra_name: int, decided: Iterable[str]) -> int:
    """Other paths are covered by it on any connection: so it has to say all that the path is decided on with, and when:
    what one configuration covered says nothing about the next."""
    others = [value for number, value in enumerate(hashes) if 1 << number != PATH]
    text = "\n".join([str(key.epoch), str(mask), str(extra_name), *map(str, others), *decided])
    secret = (key.seed ^ key.factor << 64).to_bytes(16, "big")
    digest = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8, key=secret).digest()
    return int.from_bytes(digest, "big") or 1


_VARIABLES: Final = {
    **dict.fromkeys(("uri", "document_uri", "matched_uri"), PATH),
    **dict.fromkeys(("request_uri", "real_request_uri"), PATH | QUERY),
    **dict.fromkeys(("args", "query_string", "is_args"), QUERY),
    **dict.fromkeys(("host", "http_host", "hostname", "server_name", "matched_host"), HOST),
    **dict.fromkeys(("request_method", "method"), METHOD),
    "request": METHOD | PATH | QUERY,
    "remote_user": AUTHORIZATION,
    **dict.fromkeys(
        (
            *("remote_addr", "realip_remote_addr", "server_addr", "server_port"),
            *("scheme", "https"),
        ),
        PEER,
    ),
    **dict.fromkeys(("remote_port", "realip_remote_port"), PORT),
    # What the route and the plugins before have made of the request: these have footprints of their own.
    **dict.fromkeys(("consumer_name", "consumer_group_id", "route_id", "route_name", "service_id"), 0),
    "server_protocol": 0,  # the guard takes one version only
}
