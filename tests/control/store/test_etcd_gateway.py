"""The JSON gateway client: signing in, TLS, errors told apart, nothing sent twice."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from control.store.base import Compare, Put, StoreUnavailable
from control.store.etcd_gateway import EtcdRefused, EtcdSettings, Gateway
from control.store.open import etcd_settings, open_store
from tests.control.conftest import EtcdServer
from tests.serving import Serving

Start = Callable[..., EtcdServer]
PREFIX = "/unilb/t/"


def require_password(server: EtcdServer) -> None:
    """Users root (all) and reader (PREFIX, read only)."""
    server.call("/v3/auth/user/add", name="root", password="r:o@t/")
    server.call("/v3/auth/user/grant", user="root", role="root")
    server.call("/v3/auth/user/add", name="reader", password="reads")
    server.call("/v3/auth/enable")


@pytest.mark.etcd
async def test_a_user_signs_in_and_a_token_that_the_server_forgot_is_renewed(start_etcd: Start) -> None:
    server = start_etcd()
    require_password(server)
    store = open_store(f"etcd://root:r%3Ao%40t%2F@{server.address}")
    first = (await store.txn([], [Put(PREFIX + "a", b"1")])).revision
    watch = store.watch([PREFIX], first)
    assert (await anext(watch)).changes[0].value == b"1"
    server.kill()
    await asyncio.to_thread(server.start)
    second = await store.txn([Compare(PREFIX + "a", first)], [Put(PREFIX + "a", b"2")])
    assert second.succeeded
    async with asyncio.timeout(10):
        assert (await anext(watch)).changes[0].value == b"2"
    await watch.aclose()
    await store.close()


@pytest.mark.etcd
@pytest.mark.parametrize("credentials", ["", "root:wrong@", "nobody:x@", "reader:reads@"])
async def test_without_the_right_to_it_nothing_is_written_and_the_password_is_not_shown(
    start_etcd: Start, credentials: str
) -> None:
    server = start_etcd()
    require_password(server)
    store = open_store(f"etcd://{credentials}{server.address}")
    with pytest.raises(EtcdRefused) as refusal:
        await store.txn([], [Put(PREFIX + "a", b"1")])
    assert "wrong" not in str(refusal.value) and "reads" not in str(refusal.value)
    await store.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca, server (for the name etcd.test) and client certificates."""
    directory = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    for name in ("server", "client"):
        (directory / f"{name}.ext").write_text("subjectAltName = DNS:etcd.test\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-extfile", f"{name}.ext", "-out", f"{name}.pem", "-days", "2"),
        )
    return directory


@pytest.mark.etcd
async def test_tls_checks_the_name_of_the_server_and_shows_our_certificate(
    start_etcd: Start, certificates: Path
) -> None:
    tls = ("--cert-file", "server.pem", "--key-file", "server.key", "--trusted-ca-file", "ca.pem", "--client-cert-auth")
    server = start_etcd(*(str(certificates / word) if "." in word else word for word in tls), scheme="https")
    ours = f"ca={certificates}/ca.pem&cert={certificates}/client.pem&key={certificates}/client.key"
    good = open_store(f"etcd://{server.address}?{ours}&server_name=etcd.test")
    assert (await good.txn([], [Put(PREFIX + "a", b"1")])).succeeded
    watch = good.watch([PREFIX], 1)
    assert (await anext(watch)).changes[0].value == b"1"
    await watch.aclose()
    await good.close()
    for bad in (f"?{ours}", f"?ca={certificates}/ca.pem&server_name=etcd.test", ""):
        store = open_store(f"etcds://{server.address}{bad}")
        with pytest.raises(StoreUnavailable):
            await store.get(PREFIX + "a")
        await store.close()


class Stub:
    """An endpoint that answers every request with the same bytes, or never."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self.requests = 0
        self._serving = Serving(self._serve)

    async def __aenter__(self) -> str:
        return f"http://127.0.0.1:{await self._serving.start()}"

    async def __aexit__(self, *_: object) -> None:
        await self._serving.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if self._answer is not None:
            writer.write(self._answer)
        else:
            await reader.read()


def http(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


async def call(*endpoints: str, is_repeatable: bool = True) -> dict[str, object]:
    gateway = Gateway(EtcdSettings(endpoints))
    try:
        return await gateway.call("/v3/kv/txn", {}, is_repeatable)
    finally:
        await gateway.close()


async def test_a_write_that_may_have_been_received_is_not_sent_to_another_endpoint() -> None:
    first, second = Stub(b""), Stub(http(b"{}"))
    async with first as one, second as two:
        with pytest.raises(StoreUnavailable):
            await call(one, two, is_repeatable=False)
        assert (first.requests, second.requests) == (1, 0)
        assert await call(one, two) == {}


async def test_a_write_that_was_never_sent_goes_to_the_next_endpoint() -> None:
    async with Stub(http(b"{}")) as up:
        assert await call("http://127.0.0.1:1", up, is_repeatable=False) == {}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(http(b"<html>"), id="not JSON"),
        pytest.param(http(b"[]"), id="not an object"),
        pytest.param(http(b"bad gateway", 502), id="a proxy's error"),
        pytest.param(http(b'{"error":"etcdserver: no leader","code":14}', 503), id="no leader"),
        pytest.param(http(b'{"error":"etcdserver: request timed out","code":2}', 500), id="timed out inside etcd"),
        pytest.param(http(b'{"code":"what"}', 500), id="an unreadable error"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", id="cut off"),
    ],
)
async def test_an_answer_that_is_none_counts_as_an_outage(answer: bytes) -> None:
    async with Stub(answer) as endpoint:
        with pytest.raises(StoreUnavailable):
            await call(endpoint)


async def test_an_error_of_the_request_is_no_outage() -> None:
    async with Stub(http(b'{"error":"etcdserver: duplicate key","code":3}', 400)) as endpoint:
        with pytest.raises(EtcdRefused):
            await call(endpoint)


async def test_an_endpoint_that_never_answers_is_left_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.store.etcd_gateway.REQUEST_TIMEOUT", 0.2)
    async with Stub(None) as silent, Stub(http(b"{}")) as up:
        gateway = Gateway(EtcdSettings((silent, up)))
        async with asyncio.timeout(5):
            assert await gateway.call("/v3/kv/range", {}) == {}
        await gateway.close()


def test_settings_do_not_show_the_password() -> None:
    assert "secret" not in repr(etcd_settings("etcd://root:secret@h:1"))
