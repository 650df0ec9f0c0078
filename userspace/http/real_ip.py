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
            parsed = _address(entry.strip(b" \t"))
            if parsed is None:
                break  # what stands before it was written by whoever wrote this
            found = parsed
            if not self._recursive or parsed[0] not in self._from:
                break
        if found is not None:
            request.remote_addr = found[0]
            request.remote_port = found[1] if found[1] is not None else request.remote_port


def _address(text: bytes) -> tuple[str, int | None] | None:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`, or None."""
    try:
        written = text.decode("ascii")
        if written.startswith("["):
            written, _, rest = written[1:].partition("]")
            port = rest.removeprefix(":")
        elif written.count(":") == 1:
            written, _, port = written.partition(":")
        else:
            port = ""
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            return None
        return plain_address(written), int(port) if port else None
    except ValueError:
        return None
