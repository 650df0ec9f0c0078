"""DNS: one name asked for, by c-ares. /etc/hosts and /etc/resolv.conf count, as for every program of the machine."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final, cast

from aiodns import DNSResolver
from aiodns.error import DNSError

from userspace.health.resolver import Answer, ResolveError

TIMEOUT: Final = 2.0  # seconds for one try
TRIES: Final = 3  # per name server


class Dns:
    """`servers`: "address" or "address:port"; () for those of /etc/resolv.conf."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._resolver = DNSResolver(list(servers) or None, timeout=TIMEOUT, tries=TRIES)

    async def addresses(self, name: str) -> Answer:
        """Return the IPv4 addresses of `name`, or its IPv6 addresses if it has none, as APISIX does. Raises
        ResolveError."""
        try:
            found = await self._resolver.getaddrinfo(name, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except DNSError as error:
            raise ResolveError(_words(error)) from None
        except (UnicodeError, ValueError) as error:
            raise ResolveError(str(error)) from None
        for family in (socket.AF_INET, socket.AF_INET6):
            nodes = [node for node in found.nodes if node.family == family]
            if nodes:
                addresses = tuple(str(ip_address(_text(node.addr[0]))) for node in nodes)
                return Answer(addresses, min(node.ttl for node in nodes))
        raise ResolveError("no address")

    async def close(self) -> None:
        """Give up what is still asked."""
        await self._resolver.close()


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else cast(str, value)


def _words(error: DNSError) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)
