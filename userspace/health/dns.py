"""DNS: one name or service asked for, by c-ares. /etc/hosts and /etc/resolv.conf count, as for every program."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from math import lcm
from typing import Any, Final, NamedTuple, cast

from aiodns import DNSResolver
from aiodns.error import DNSError
from pycares import SRVRecordData

from userspace.config.names import MAX_ADDRESSES, SERVICE, service_text
from userspace.health.resolver import Answer, ResolveError

TIMEOUT: Final = 2.0  # seconds for one try
TRIES: Final = 3  # per name server


class _Record(NamedTuple):
    """An SRV record and the addresses of its target."""

    port: int
    weight: int
    priority: int
    addresses: tuple[str, ...]


class Dns:
    """`servers`: "address" or "address:port"; () for those of /etc/resolv.conf."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._resolver = DNSResolver(list(servers) or None, timeout=TIMEOUT, tries=TRIES)

    async def ask(self, name: str) -> Answer:
        """Return what `name` stands for: addresses, or the endpoints of a service (see config/names.py). Raises
        ResolveError."""
        if name.startswith(SERVICE):
            return await self._service(name.removeprefix(SERVICE))
        return await self._addresses(name)

    async def close(self) -> None:
        """Give up what is still asked."""
        await self._resolver.close()

    async def _addresses(self, name: str) -> Answer:
        """Its IPv4 addresses, or its IPv6 addresses if it has none, as APISIX does."""
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

    async def _service(self, service: str) -> Answer:
        """SRV records if there are any, else addresses, as APISIX's discovery: NAME or NAME:PORT. The lowest priority
        number comes first; a port in a record outranks the one given."""
        host, _, given = service.partition(":")
        if given and not (given.isascii() and given.isdigit() and int(given[:6]) < 65536):
            raise ResolveError(f"{service} has no port up to 65535")
        port = int(given or 0)
        try:
            found = await self._resolver.query_dns(host, "SRV")
        except DNSError:
            found = None
        except (UnicodeError, ValueError) as error:
            raise ResolveError(str(error)) from None
        answers = found.answer if found is not None else []
        records = [(each.data, float(each.ttl)) for each in answers if isinstance(each.data, SRVRecordData)]
        if not records:
            answer = await self._addresses(host)
            return Answer(tuple(service_text(each, port, 1, 0) for each in answer.addresses), answer.ttl)
        targets = await asyncio.gather(
            *(self._addresses(data.target.rstrip(".")) for data, _ in records[:MAX_ADDRESSES]),
            return_exceptions=True,
        )
        ttl = min(ttl for _, ttl in records)
        known: list[_Record] = []
        for (data, _), target in zip(records, targets, strict=False):
            if isinstance(target, Answer):
                known.append(_Record(data.port or port, data.weight or 1, -data.priority, target.addresses))
                ttl = min(ttl, target.ttl)
        if not known:
            raise ResolveError("no target of the SRV records has an address")
        return Answer(tuple(_texts(known)), ttl)


def _texts(records: Sequence[_Record]) -> list[str]:
    """A record keeps its share of the requests however many addresses its target has."""
    scale = lcm(*(len(record.addresses) for record in records))
    scale = scale if scale <= MAX_ADDRESSES else 1
    return [
        service_text(address, record.port, max(1, record.weight * scale // len(record.addresses)), record.priority)
        for record in records
        for address in record.addresses
    ]


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else cast(str, value)


def _words(error: DNSError) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)
