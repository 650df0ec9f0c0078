"""Changing the protocol of a connection: which offers go on to an endpoint, and which answers take them up.

RFC 9110 section 7.8: a client offers, the server may take up one or more of what was offered, nothing else.
"""

import re
from typing import Final

from userspace.http.events import RequestHead, ResponseHead

_PROTOCOL: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?")

# Protocols that carry more requests: inside the tunnel they would pass by every route, plugin and limit.
_CARRIERS: Final = frozenset((b"http", b"h2", b"h2c", b"h3", b"tls"))


def offers(head: RequestHead) -> bytes | None:
    """Return the value of Upgrade to send to an endpoint: what `head` offers without what carries HTTP, or None.

    A list with anything that is no protocol name offers nothing. A request to CONNECT changes the protocol by itself.
    """
    if head.upgrade is None or head.method == "CONNECT":
        return None
    protocols = _protocols(head.upgrade)
    kept = [name for name in protocols or () if name.partition(b"/")[0].lower() not in _CARRIERS]
    return b", ".join(kept) or None


def takes_up(head: ResponseHead, offered: bytes | None) -> bool:
    """Say whether this 101 names protocols, and only such as were offered. Names are compared without case."""
    if offered is None or head.upgrade is None:
        return False
    chosen = _protocols(head.upgrade.lower())
    return bool(chosen) and set(chosen or ()) <= set(_protocols(offered.lower()) or ())


def _protocols(value: bytes) -> list[bytes] | None:
    """The members of a list of protocols; None when one of them is none."""
    names = [name for part in value.split(b",") if (name := part.strip(b" \t"))]
    return names if all(_PROTOCOL.fullmatch(name) for name in names) else None
