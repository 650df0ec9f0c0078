"""TLS to endpoints: who is asked for, who is believed, what is shown, and which requests share a connection."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.control.certificates import authority, pair
from tests.userspace.proxy.stage import Endpoint, Script, Speaker, Stage, get, hello
from tests.userspace.proxy.tls_stage import Stage as PlainStage
from tests.userspace.proxy.tls_stage import TlsStage
from userspace.http.proxy_protocol import HeaderReader
from userspace.proxy.tls_connect import server_name


class TlsEndpoint(Endpoint):
    """`names` and `resumed` collect what its handshakes told."""

    def __init__(self, script: Script, name: str = "a.example", **context: Any) -> None:
        super().__init__(script)
        certificate, key = authority().sign(name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.pem = certificate + key
        for option, value in context.items():
            setattr(self.context, option, value)
        self.names: list[str | None] = []
        self.resumed: list[bool] = []
        self.context.sni_callback = lambda tls, name, context: self.names.append(name)

    async def open(self) -> str:
        file = Path(self.folder) / "endpoint.pem"
        file.write_text(self.pem)
        self.context.load_cert_chain(file)
        return await super().open()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await super()._connected(reader, writer)

    folder = ""


def stage(folder: Path, endpoint: TlsEndpoint, kind: type[PlainStage] = Stage, **options: Any) -> PlainStage:
    endpoint.folder = str(folder)
    (folder / "ca.pem").write_text(authority().certificate)
    settings = {"trusted_certificates": str(folder / "ca.pem")}
    made = kind(folder, settings=settings, **{"scheme": "https", **options})
    made.endpoints = [endpoint]
    return made


async def ask(client: Speaker, *fields: str, host: str = "a.example") -> bytes:
    await client.say(get("/", *fields, host=host))
    return (await client.hear_message())[0].split(b"\r\n")[0]


async def close_after_one(speaker: Speaker) -> None:
    await speaker.hear_message()
    await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await speaker.close()


async def until_close(speaker: Speaker) -> None:
    await speaker.hear_message()
    await speaker.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
    await speaker.close()


async def torn(speaker: Speaker) -> None:
    await speaker.hear_message()
    await speaker.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
    speaker.reset()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "a.example"),
        ({"pass_host": "rewrite", "upstream_host": "b.example"}, "b.example"),
        ({"pass_host": "node"}, None),  # its address: nothing to be named (RFC 6066)
    ],
)
async def test_the_endpoint_is_asked_for_by_the_host_that_it_gets(
    tmp_path: Path, options: dict[str, str], name: str | None
) -> None:
    endpoint = TlsEndpoint(hello)
    async with stage(tmp_path, endpoint, **options) as made:
        assert await ask(await made.client(), host="A.example:8080") == b"HTTP/1.1 200 OK"
        assert [found and found.lower() for found in endpoint.names] == [name]


async def test_requests_share_a_connection_when_they_mean_the_same_name(tmp_path: Path) -> None:
    endpoint = TlsEndpoint(hello)
    async with stage(tmp_path, endpoint) as made:
        client = await made.client()
        for host in ("a.example", "b.example", "a.example", "b.example", "a.example:99"):
            assert await ask(client, host=host) == b"HTTP/1.1 200 OK"
        assert endpoint.names == ["a.example", "b.example"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_next_connection_resumes_the_session(tmp_path: Path, version: ssl.TLSVersion) -> None:
    endpoint = TlsEndpoint(close_after_one, minimum_version=version, maximum_version=version)
    async with stage(tmp_path, endpoint) as made:
        client = await made.client()
        for host in ("a.example", "a.example", "b.example"):
            assert await ask(client, host=host) == b"HTTP/1.1 200 OK"
        assert endpoint.resumed == [False, True, False]


async def test_an_endpoint_is_verified_where_the_upstream_says_so(tmp_path: Path) -> None:
    endpoint = TlsEndpoint(hello)
    async with stage(tmp_path, endpoint, tls={"verify": True}) as made:
        client = await made.client()
        assert await ask(client) == b"HTTP/1.1 200 OK"
        assert await ask(client, host="b.example") == b"HTTP/1.1 502 Bad Gateway"
        assert await ask(client, host="192.0.2.1") == b"HTTP/1.1 502 Bad Gateway"
        assert made.shared.counters.errors == {"upstream tls_failed": 2}


async def test_an_endpoint_is_not_believed_because_anybody_vouches_for_it(tmp_path: Path) -> None:
    endpoint = TlsEndpoint(hello)
    endpoint.pem = "".join(pair("a.example"))
    async with stage(tmp_path, endpoint, tls={"verify": True}) as made:
        assert await ask(await made.client()) == b"HTTP/1.1 502 Bad Gateway"
    other = TlsEndpoint(hello)
    other.pem = "".join(pair("a.example"))
    async with stage(tmp_path, other) as made:
        assert await ask(await made.client()) == b"HTTP/1.1 200 OK"


async def show_client(speaker: Speaker) -> None:
    while True:
        await speaker.hear_message()
        shown = speaker.writer.get_extra_info("peercert")
        name = str(shown["subject"][0][0][1]).encode() if shown else b"nobody"
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))


def asking() -> TlsEndpoint:
    endpoint = TlsEndpoint(show_client, verify_mode=ssl.CERT_OPTIONAL)
    endpoint.context.load_verify_locations(cadata=authority().certificate)
    return endpoint


async def who(made: PlainStage) -> bytes:
    client = await made.client()
    await client.say(get())
    return (await client.hear_message())[1]


async def test_the_upstreams_own_certificate_is_shown(tmp_path: Path) -> None:
    certificate, key = authority().sign("gateway")
    async with stage(tmp_path, asking(), tls={"client_cert": certificate, "client_key": key}) as made:
        assert await who(made) == b"gateway"


async def test_the_certificate_of_an_ssl_object_is_shown_and_its_change_counts_at_once(tmp_path: Path) -> None:
    troubles: list[str] = []
    async with stage(tmp_path, asking(), tls={"client_cert_id": "c1"}) as made:
        made.shared.on_trouble = troubles.append
        client = await made.client()
        assert await ask(client) == b"HTTP/1.1 502 Bad Gateway"
        for name in ("one", "two"):
            certificate, key = authority().sign(name)
            made.put(("ssls/c1", {"id": "c1", "type": "client", "cert": certificate, "key": key}))
            assert await who(made) == name.encode()
        made.put(("ssls/c1", {"id": "c1", "snis": ["x"], "cert": certificate, "key": key}))
        assert await ask(client) == b"HTTP/1.1 502 Bad Gateway"
        assert troubles == ["upstream u1: ssl c1 does not exist", "upstream u1: ssl c1 is not of type client"]


async def test_a_key_that_could_not_be_decrypted_is_named(tmp_path: Path) -> None:
    troubles: list[str] = []
    tls = {"client_cert": pair("a.example")[0], "client_key": "A" * 88}
    async with stage(tmp_path, TlsEndpoint(hello), tls=tls) as made:
        made.shared.on_trouble = troubles.append
        assert await ask(await made.client()) == b"HTTP/1.1 502 Bad Gateway"
    assert troubles == ["upstream u1: tls.client_key was encrypted with a key not in the keyring"]


async def test_a_plain_endpoint_is_a_failed_handshake_and_the_next_is_tried(tmp_path: Path) -> None:
    async def plain(speaker: Speaker) -> None:
        await speaker.hear(5)
        await speaker.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    good, bad = TlsEndpoint(hello), Endpoint(plain)
    made = stage(tmp_path, good)
    made.endpoints = [bad, good]
    async with made:
        client = await made.client()
        for _ in range(2):
            assert await ask(client) == b"HTTP/1.1 200 OK"
        assert made.shared.counters.errors.keys() == {"upstream tls_failed"}


async def test_an_endpoint_that_never_answers_the_handshake_is_a_connect_timeout(tmp_path: Path) -> None:
    async def silent(speaker: Speaker) -> None:
        await speaker.hear_end()

    endpoint = Endpoint(silent)
    made = Stage(tmp_path, endpoint.script, scheme="https", timeout={"connect": 0.1, "send": 1, "read": 1})
    async with made:
        assert (await ask(await made.client())).startswith(b"HTTP/1.1 504 ")
        assert made.shared.counters.errors == {"upstream connect_timeout": 1}


async def test_a_response_without_length_is_whole_only_behind_close_notify(tmp_path: Path) -> None:
    async with stage(tmp_path, TlsEndpoint(until_close)) as made:
        client = await made.client()
        await client.say(get("/", "Connection: close"))
        assert b"hello" in await client.hear_end()
    async with stage(tmp_path, TlsEndpoint(torn)) as made:
        client = await made.client()
        await client.say(get("/", "Connection: close"))
        assert await client.is_reset()


async def test_a_proxy_header_comes_before_the_handshake(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def peek(speaker: Speaker) -> None:
        reader, rest = HeaderReader(), b""
        while not reader.is_done:
            rest = reader.feed(await speaker.hear(1))
        seen.append((rest or await speaker.hear(1))[:1])
        assert reader.ends is not None and reader.ends.source == "127.0.0.1"

    async with Stage(tmp_path, peek, scheme="https", proxy_protocol=2) as made:
        assert (await ask(await made.client())).startswith(b"HTTP/1.1 502 ")
    assert seen == [b"\x16"]


async def test_both_sides_may_be_secured(tmp_path: Path) -> None:
    async with stage(tmp_path, TlsEndpoint(hello), TlsStage) as made:
        assert isinstance(made, TlsStage)
        client = await made.secure()
        for _ in range(3):
            assert await ask(client) == b"HTTP/1.1 200 OK"
        assert made.shared.counters.totals["upstream_reuses"] == 2


@pytest.mark.parametrize(
    ("authority_", "name"),
    [
        (b"a.example", "a.example"),
        (b"a.example.:443", "a.example"),
        (b"192.0.2.1:80", "192.0.2.1"),
        (b"[2001:db8::1]:80", "2001:db8::1"),
        (b"[2001", ""),
        (b"", ""),
        (b"a..b", ""),
        (b"a" * 64, ""),
        (b"\xff", ""),
    ],
)
def test_names_that_no_library_takes_are_left_out(authority_: bytes, name: str) -> None:
    assert server_name(authority_) == name
