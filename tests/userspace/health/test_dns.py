"""Questions to a real name server on loopback."""

import asyncio

import pytest

from tests.userspace.health.name_server import AAAA, SRV, A, address, name_server, service
from userspace.health import dns as module
from userspace.health.dns import Dns
from userspace.health.resolver import ResolveError


async def test_all_ipv4_addresses_come_with_their_ttl() -> None:
    async with name_server() as server:
        server.records["a.example", A] = (7, [address("10.0.0.1"), address("10.0.0.2")])
        dns = Dns([server.address])
        answer = await dns.ask("a.example")
        await dns.close()
    assert sorted(answer.addresses) == ["10.0.0.1", "10.0.0.2"] and answer.ttl == 7


async def test_ipv6_counts_where_there_is_no_ipv4() -> None:
    async with name_server(both=("10.0.0.1", "2001:db8::1"), six=("2001:db8::1", "2001:db8::2")) as server:
        dns = Dns([server.address])
        assert (await dns.ask("both.example")).addresses == ("10.0.0.1",)
        assert sorted((await dns.ask("six.example")).addresses) == ["2001:db8::1", "2001:db8::2"]
        await dns.close()
    assert ("six.example", AAAA) in server.asked


async def test_the_hosts_file_is_asked_first() -> None:
    async with name_server() as server:
        dns = Dns([server.address])
        answer = await dns.ask("localhost")
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
            await asyncio.wait_for(dns.ask(name), 5)
        await dns.close()
    assert why in str(failed.value)


async def test_a_service_is_what_its_srv_records_say() -> None:
    async with name_server(one=("10.0.0.1",), two=("10.0.0.2", "10.0.0.3")) as server:
        records = [service(1, 4, 8080, "one.example"), service(2, 0, 0, "two.example"), service(1, 1, 1, "nx.example")]
        server.records["_http._tcp.web.example", SRV] = (7, records)
        dns = Dns([server.address])
        answer = await dns.ask("dns/_http._tcp.web.example:9000")
        await dns.close()
    # The lower number first; no port in the record: the one given; weight 0 counts, a little.
    assert sorted(answer.addresses) == ["10.0.0.1:8080 8 -1", "10.0.0.2:9000 1 -2", "10.0.0.3:9000 1 -2"]
    assert answer.ttl == 1


async def test_a_service_without_srv_records_is_its_addresses() -> None:
    async with name_server(web=("10.0.0.1",)) as server:
        dns = Dns([server.address])
        assert (await dns.ask("dns/web.example:9000")).addresses == ("10.0.0.1:9000 1 0",)
        assert (await dns.ask("dns/web.example")).addresses == ("10.0.0.1:0 1 0",)
        await dns.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [("nx.example", "Domain name not found"), ("web.example:x", "has no port"), ("lost.example", "no target")],
)
async def test_a_service_that_is_not_there_says_why(name: str, why: str) -> None:
    async with name_server(web=("10.0.0.1",)) as server:
        server.records["lost.example", SRV] = (7, [service(1, 1, 1, "nx.example")])
        dns = Dns([server.address])
        with pytest.raises(ResolveError, match=why):
            await dns.ask("dns/" + name)
        await dns.close()
