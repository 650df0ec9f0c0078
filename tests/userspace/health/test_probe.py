"""Probes of real endpoints."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.control.certificates import pair
from tests.userspace.health.endpoints import answering, closed_port, listening, resetting, silent
from tests.userspace.health.upstreams import target
from userspace.health.probe import MAX_STATUS_LINE, Result, probe, request_of
from userspace.health.secured import ProbeContexts
from userspace.health.state import Outcome
from userspace.health.targets import Target
from userspace.proxy.tls_contexts import ContextError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def anybody(target: Target) -> ssl.SSLContext:
    """As with no certificate of ours."""
    return ProbeContexts(lambda id: None, lambda id: None, "").of(target)


async def probed(target: Target) -> Result:
    return await probe(target, anybody)


def at(port: int, **active: Any) -> Any:
    return target(f"127.0.0.1:{port}", **{"timeout": 0.5, **active})


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (OK, Result(Outcome.SUCCESS, "status 200")),
        (b"HTTP/1.0 302 Found\r\n\r\n", Result(Outcome.SUCCESS, "status 302")),
        (b"HTTP/1.1 500 Oops\r\n\r\n", Result(Outcome.HTTP, "status 500")),
        (b"HTTP/1.1 401 Who\r\n\r\n", Result(None, "status 401")),
        (b"HTTP/1.1   204\n", Result(None, "status 204")),
        (b"SSH-2.0-OpenSSH\r\n", Result(Outcome.HTTP, "request: no HTTP status line")),
        (b"x" * (MAX_STATUS_LINE + 1), Result(Outcome.HTTP, "request: no HTTP status line")),
        (b"", Result(Outcome.TCP, "request: closed without an answer")),
        (b"HTTP/1.1 200", Result(Outcome.TCP, "request: closed without an answer")),
    ],
)
async def test_an_answer_is(answer: bytes, result: Result) -> None:
    async with listening(answering(answer)) as port:
        assert await probed(at(port)) == result


async def test_an_endpoint_that_does_not_answer_times_out() -> None:
    async with listening(silent) as port:
        assert await probed(at(port, timeout=0.05)) == Result(Outcome.TIMEOUT, "request: timed out")


async def test_an_endpoint_that_resets_fails() -> None:
    async with listening(resetting) as port:
        result = await probed(at(port))
    assert result.outcome is Outcome.TCP and "reset" in result.why


@pytest.mark.parametrize("type", ["http", "https", "tcp"])
async def test_a_closed_port_is_refused(type: str) -> None:
    result = await probed(at(closed_port(), type=type))
    assert result.outcome is Outcome.TCP and "refused" in result.why.lower()


async def test_a_tcp_check_only_connects() -> None:
    async with listening(silent) as port:
        assert await probed(at(port, type="tcp")) == Result(Outcome.SUCCESS, "connected")


async def test_an_unreachable_address_of_the_other_family_is_a_failure_too() -> None:
    result = await probed(target("[::1]:1", timeout=0.5))
    assert result.outcome is Outcome.TCP


async def test_a_cancelled_probe_leaves_nothing_behind() -> None:
    async with listening(silent) as port:
        task = asyncio.ensure_future(probed(at(port, timeout=60)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class TestRequest:
    async def test_it_is_as_apisix_sends_it(self) -> None:
        asked: list[bytes] = []
        async with listening(answering(OK, asked)) as port:
            await probed(at(port, http_path="/status?x=1", host="h.example", req_headers=["User-Agent: curl", "A: b"]))
        assert asked == [
            b"GET /status?x=1 HTTP/1.1\r\nConnection: close\r\nUser-Agent: curl\r\nA: b\r\nHost: h.example\r\n\r\n"
        ]

    def test_a_body_has_its_length(self) -> None:
        request = request_of(target("10.0.0.1:80", http_method="POST", http_req_body='{"é": 1}'))
        assert request.startswith(b"POST / HTTP/1.1\r\n")
        assert request.endswith(b"Content-Length: 9\r\n\r\n" + '{"é": 1}'.encode())

    def test_an_ipv6_host_stands_in_brackets(self) -> None:
        assert b"\r\nHost: [::1]\r\n" in request_of(target("[::1]:80"))

    def test_no_configured_value_breaks_its_line(self) -> None:
        request = request_of(target("10.0.0.1:80", http_path="/a\r\nX: y", req_headers=["A: b\r\n\r\nGET /c"]))
        assert request == (b"GET /aX: y HTTP/1.1\r\nConnection: close\r\nA: bGET /c\r\nHost: 10.0.0.1\r\n\r\n")


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    certificate, key = pair("h.example")
    (tmp_path / "both.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    return context


class TestTls:
    async def test_a_certificate_of_anybody_is_taken_unless_it_is_to_be_verified(self, tls: ssl.SSLContext) -> None:
        asked: list[str | None] = []
        tls.sni_callback = lambda _connection, name, _context: asked.append(name)
        async with listening(answering(OK), tls) as port:
            https = {"type": "https", "host": "h.example", "timeout": 2}
            assert await probed(at(port, https_verify_certificate=False, **https)) == Result(
                Outcome.SUCCESS, "status 200"
            )
            refused = await probed(at(port, **https))
        assert refused.outcome is Outcome.TCP and refused.why.startswith("handshake: CERTIFICATE_VERIFY_FAILED")
        assert asked == ["h.example", "h.example"]

    async def test_an_endpoint_without_tls_fails_the_handshake(self) -> None:
        async with listening(answering(OK)) as port:
            result = await probed(at(port, type="https", timeout=0.2))
        assert result.outcome is Outcome.TCP and result.why.startswith("handshake")

    async def test_a_handshake_that_hangs_is_a_failed_connection(self) -> None:
        async with listening(silent) as port:
            assert await probed(at(port, type="https", timeout=0.05)) == Result(Outcome.TCP, "handshake: timed out")

    async def test_a_certificate_of_ours_that_is_none_fails_the_handshake(self, tls: ssl.SSLContext) -> None:
        def secured(target: Target) -> ssl.SSLContext:
            raise ContextError("ssl 9 does not exist")

        async with listening(answering(OK), tls) as port:
            found = await probe(at(port, type="https"), secured)
        assert found == Result(Outcome.TCP, "handshake: ssl 9 does not exist")
