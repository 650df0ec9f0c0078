"""RealIp: who the client is, where a proxy in front says so, as nginx has it (set_real_ip_from, real_ip_header)."""

from typing import Final

from userspace.http.request import Request
from userspace.net import Networks, plain_address

FORWARDED_FOR: Final = "x-forwarded-for"


class RealIp:
    """`header`: where the client's address stands: alone, or in X-Forwarded-For last. `from_`: the networks whose word
    counts. `recursive`: in a list, addresses of theirs are passed over from the right."""

    __slots__ = ("_from", "_header", "_is_list", "_recursive")

    def __init__(self, header: str, from_: tuple[str, ...], recursive: bool) -> None:
        self._header: Final = header.lower().encode("ascii")
        self._is_list: Final = header.lower() == FORWARDED_FOR
        self._from: Final = Networks(from_)
        self._recursive: Final = recursive

    def __bool__(self) -> bool:
        return bool(self._from)

    def believes(self, address: str) -> bool:
        """True for a peer whose word counts: who its client is can change with each request."""
        return address in self._from

    def apply(self, request: Request) -> None:
        """Set `remote_addr`, and `remote_port` where a port is given, if the peer may say and says something."""
        if request.peer.address not in self._from:
            return
        values = request.header_values(self._header)
        if not values:
            return
        found: tuple[str, int | None] | None = None
        entries = b",".join(values).split(b",") if self._is_list else values[:1]
        for entry in reversed(entries):
            parsed = parse_client(entry.strip(b" \t").decode("latin-1"))
            if parsed is None:
                break  # what stands before it was written by whoever wrote this
            found = parsed
            if not self._recursive or parsed[0] not in self._from:
                break
        if found is not None:
            request.remote_addr = found[0]
            request.remote_port = found[1] if found[1] is not None else request.remote_port


def parse_client(text: str) -> tuple[str, int | None] | None:
    """Return (address, port if there is one) of "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or
    "[2001:db8::1]:80"; None for anything else."""
    host, colon, port = text, "", ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":") or ":" not in host:
            return None
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
    try:
        address = plain_address(host)
    except ValueError:
        return None
    if not colon:
        return address, None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536
    return (address, int(port)) if is_port else None
