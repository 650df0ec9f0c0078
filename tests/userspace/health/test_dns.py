"""Questions to a real name server on loopback."""

import asyncio

import pytest

from tests.userspace.health.name_server import AAAA, A, address, name_server
from userspace.health import dns as module
from userspace.health.dns import Dns
from userspace.health.resolver import ResolveError


async def test_all_ipv4_addresses_come_with_their_ttl() -> None:
    async with name_server() as server:
        server.records["a.example", A] = (7, [address("10.0.0.1"), address("10.0.0.2")])
        dns = Dns([server.address])
        answer = await dns.addresses("a.example")
        await dns.close()
    assert sorted(answer.addresses) == ["10.0.0.1", "10.0.0.2"] and answer.ttl == 7


async def test_ipv6_counts_where_there_is_no_ipv4() -> None:
    async with name_server(both=("10.0.0.1", "2001:db8::1"), six=("2001:db8::1", "2001:db8::2")) as server:
        dns = Dns([server.address])
        assert (await dns.addresses("both.example")).addresses == ("10.0.0.1",)
        assert sorted((await dns.addresses("six.example")).addresses) == ["2001:db8::1", "2001:db8::2"]
        await dns.close()
    assert ("six.example", AAAA) in server.asked


async def test_the_hosts_file_is_asked_first() -> None:
    async with name_server() as server:
        dns = Dns([server.address])
        answer = await dns.addresses("localhost")
        await dns.close()
    assert "127.0.0.1" in answer.addresses and server.asked == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nx.example", "Domain name not found"),
        ("empty.example", "answer with no data"),
        ("silent.example", "Timeout while contacting DNS servers"),
        ("a..example", "Misformatted domain name"),
        ("x" * 64 + ".example", "Misformatted domain name"),
    ],
)
async def test_a_question_in_vain_says_why(name: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.02)
    monkeypatch.setattr(module, "TRIES", 1)
    async with name_server(empty=()) as server:
        server.silent.add("silent.example")
        dns = Dns([server.address])
        with pytest.raises(ResolveError) as failed:
            await asyncio.wait_for(dns.addresses(name), 5)
        await dns.close()
    assert why in str(failed.value)
