"""Handshakes: who is answered with what, and how the others are refused, without harm to anybody else."""

import asyncio
import contextlib
import os
import ssl
from base64 import b64encode
from pathlib import Path

import pytest

from control.model.ssl import Ssl
from tests.control.certificates import authority, pair, rsa_pair
from tests.userspace.health.responder import answer, document
from tests.userspace.proxy.stage import Speaker, get, hello
from tests.userspace.proxy.tls_stage import TlsStage, client_context, site, subject, with_certificate
from tests.userspace.proxy.upstreams import echo_head

TLS12 = {"maximum_version": ssl.TLSVersion.TLSv1_2}


async def ask(client: Speaker, path: str = "/", host: str = "a.example") -> bytes:
    """The first line of the answer."""
    await client.say(get(path, host=host))
    return (await client.hear_message())[0].split(b"\r\n")[0]


async def refused(stage: TlsStage, name: str | None, context: ssl.SSLContext | None = None) -> str:
    """What a client learns of its refusal; in TLS 1.3 only when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as caught:
        client = await stage.secure(name, context)
        await client.hear_end()
    return str(caught.value)


async def test_each_name_gets_its_certificate(tmp_path: Path) -> None:
    ssls = {"1": site("a.example"), "2": site("*.b.example", "b.example"), "3": site("c.example", status=0)}
    async with TlsStage(tmp_path, hello, ssls=ssls) as stage:
        for name, shown in [("a.example", "a.example"), ("A.EXAMPLE", "a.example"), ("x.b.example", "*.b.example")]:
            client = await stage.secure(name)
            assert subject(client) == shown
            assert await ask(client) == b"HTTP/1.1 200 OK"
        for name in ("y.x.b.example", "c.example", "other.example"):
            assert "UNRECOGNIZED_NAME" in await refused(stage, name)
        assert stage.failures == {"unknown_server_name": 3}
        assert stage.shared.counters.totals["tls_handshakes"] == 3


async def test_a_client_without_a_name_gets_the_fallback_or_nothing(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        assert "UNRECOGNIZED_NAME" in await refused(stage, None)
    async with TlsStage(tmp_path, hello, settings={"fallback_sni": "A.Example."}) as stage:
        client = await stage.secure(None)
        assert subject(client) == "a.example"


async def test_rsa_and_ecdsa_stand_side_by_side(tmp_path: Path) -> None:
    certificate, key = rsa_pair("a.example")
    both = {"s1": site("a.example", certs=[certificate], keys=[key])}
    async with TlsStage(tmp_path, hello, ssls=both) as stage:
        for kind in ("ECDSA", "RSA"):
            context = client_context(**TLS12)
            context.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
            client = await stage.secure("a.example", context)
            assert client.writer.get_extra_info("cipher")[0] == f"ECDHE-{kind}-AES128-GCM-SHA256"


async def test_protocol_versions_are_those_of_the_name(tmp_path: Path) -> None:
    ssls = {
        "old": site("old.example", ssl_protocols=["TLSv1.1", "TLSv1.3"]),
        "two": site("two.example", ssl_protocols=["TLSv1.2"]),
        "three": site("three.example", ssl_protocols=["TLSv1.3"]),
        "default": site("default.example"),
    }
    served = {
        "old": ["TLSv1.1", "TLSv1.3"],
        "two": ["TLSv1.2"],
        "three": ["TLSv1.3"],
        "default": ["TLSv1.2", "TLSv1.3"],
    }
    async with TlsStage(tmp_path, hello, ssls=ssls) as stage:
        for id, wanted in served.items():
            found = []
            for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = client_context()
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
                with (
                    pytest.warns(DeprecationWarning) if version == ssl.TLSVersion.TLSv1_1 else contextlib.nullcontext()
                ):
                    context.minimum_version = context.maximum_version = version
                try:
                    client = await stage.secure(f"{id}.example", context)
                except (ssl.SSLError, ConnectionError):
                    continue
                found.append(client.writer.get_extra_info("ssl_object").version())
            assert found == wanted
        assert stage.failures.keys() <= {"version", "no_shared_cipher", "client_alert", "closed"}


async def test_http_1_1_is_agreed_on_and_another_protocol_is_no_reason_to_refuse(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        for offered, agreed in ([["h2", "http/1.1"], "http/1.1"], [["h2"], None], [[], None]):
            context = client_context()
            if offered:
                context.set_alpn_protocols(offered)
            client = await stage.secure("a.example", context)
            assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed
            assert await ask(client) == b"HTTP/1.1 200 OK"


async def test_a_plain_http_request_is_told_so(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        client = await stage.raw()
        await client.say(get())
        answer = await client.hear_end()
        assert answer.startswith(b"HTTP/1.1 400 ") and b"plain HTTP request was sent to HTTPS port" in answer
        assert stage.failures == {"not_tls": 1}


async def test_bytes_that_are_no_tls_are_refused_and_counted(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        for data, reason in [(b"\0\0\0", "not_tls"), (b"\x16\x03\x01\x00\x00", "malformed")]:
            client = await stage.raw()
            await client.say(data)
            assert not (await client.hear_end()).startswith(b"HTTP")
            assert stage.failures[reason] == 1
        await stage.until(lambda: not stage.shared.bare)


async def test_a_handshake_takes_its_time_out_and_no_longer(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello, settings={"tls_handshake_timeout": 0.1}) as stage:
        silent, slow = await stage.raw(), await stage.raw()
        await slow.say(b"\x16\x03\x01")
        assert await silent.hear_end() == await slow.hear_end() == b""
        assert stage.failures == {"timeout": 2}


async def test_a_client_that_leaves_during_the_handshake_is_counted(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        client = await stage.raw()
        await client.say(b"\x16")
        await stage.until(lambda: len(stage.shared.bare) == 1)
        client.reset()
        await stage.until(lambda: not stage.shared.bare)
        assert stage.failures == {"closed": 1}


async def test_handshakes_count_as_connections(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello, settings={"max_connections": 2}) as stage:
        first, second, third = [await stage.raw() for _ in range(3)]
        await third.is_reset()
        await stage.until(lambda: stage.shared.counters.totals["refused"] == 1)
        assert len(stage.shared.bare) == 2
        first.reset()
        await stage.until(lambda: len(stage.shared.bare) == 1)
        assert await ask(await stage.secure()) == b"HTTP/1.1 200 OK"
        second.reset()


async def test_a_changed_certificate_is_shown_from_the_next_handshake_on(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        before = await stage.secure()
        stage.put(("ssls/s1", {"id": "s1", **site("z.example", "a.example")}))
        assert subject(await stage.secure()) == "z.example"
        assert await ask(before) == b"HTTP/1.1 200 OK"
        stage.put(("ssls/s1", None))
        assert "UNRECOGNIZED_NAME" in await refused(stage, "a.example")
        assert await ask(before) == b"HTTP/1.1 200 OK"


async def test_a_certificate_that_openssl_refuses_harms_nobody_else(tmp_path: Path) -> None:
    troubles: list[str] = []
    certificate, key = rsa_pair("weak.example", 1024)
    weak = {"snis": ["weak.example"], "cert": certificate, "key": key}
    async with TlsStage(tmp_path, hello, ssls={"s1": site("a.example"), "weak": weak}) as stage:
        stage.shared.on_trouble = troubles.append
        assert "INTERNAL_ERROR" in await refused(stage, "weak.example")
        assert troubles == ["ssl weak: EE_KEY_TOO_SMALL"]
        assert stage.failures == {"no_certificate": 1}
        assert await ask(await stage.secure()) == b"HTTP/1.1 200 OK"


# Certificates of clients.


def asking(*names: str, **client: object) -> dict[str, object]:
    return site(*names, client={"ca": authority().certificate, **client})


async def test_a_client_shows_a_certificate_or_is_refused_in_the_handshake(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello, ssls={"s1": asking("a.example")}) as stage:
        good = await stage.secure("a.example", with_certificate("jack", tmp_path, client_context()))
        assert await ask(good) == b"HTTP/1.1 200 OK"
        assert "CERTIFICATE_REQUIRED" in await refused(stage, "a.example")
        certificate, key = pair("mallory")
        (tmp_path / "bad.pem").write_text(certificate + key)
        bad = client_context()
        bad.load_cert_chain(tmp_path / "bad.pem")
        assert "ALERT" in (await refused(stage, "a.example", bad)).upper()
        assert stage.failures == {"client_certificate_missing": 1, "client_certificate_invalid": 1}


@pytest.mark.parametrize(("depth", "is_served"), [(0, False), (1, True)])
async def test_depth_bounds_the_certificates_in_between(tmp_path: Path, depth: int, is_served: bool) -> None:
    certificate, key = authority().below("middle").sign("jill")
    (tmp_path / "jill.pem").write_text(certificate + key)
    context = client_context()
    context.load_cert_chain(tmp_path / "jill.pem")
    async with TlsStage(tmp_path, hello, ssls={"s1": asking("a.example", depth=depth)}) as stage:
        if is_served:
            assert await ask(await stage.secure("a.example", context)) == b"HTTP/1.1 200 OK"
        else:
            assert "ALERT" in (await refused(stage, "a.example", context)).upper()


async def test_clients_are_told_whose_certificates_are_trusted(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello, ssls={"s1": asking("a.example")}) as stage:
        program = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-connect", f"127.0.0.1:{stage.tls_port}", "-servername", "a.example"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await program.communicate()
        assert b"Acceptable client certificate CA names\nCN = root" in out


async def test_paths_may_be_open_to_those_without_a_certificate(tmp_path: Path) -> None:
    ssls = {"s1": asking("a.example", skip_mtls_uri_regex=["^/open"])}
    async with TlsStage(tmp_path, echo_head, ssls=ssls) as stage:
        certificate, key = pair("mallory")
        (tmp_path / "bad.pem").write_text(certificate + key)
        bad = client_context()
        bad.load_cert_chain(tmp_path / "bad.pem")
        good = with_certificate("jack", tmp_path, client_context())
        for context, closed in [(client_context(), b"400"), (bad, b"400"), (good, b"200")]:
            client = await stage.secure("a.example", context)
            assert (await ask(client, "/open/x")).startswith(b"HTTP/1.1 200")
            assert (await ask(client, "/closed")).startswith(b"HTTP/1.1 " + closed)


async def test_host_and_server_name_must_agree_where_a_certificate_is_wanted(tmp_path: Path) -> None:
    """Else a handshake for an open name would lead to one that is not."""
    ssls = {"s1": site("open.example"), "s2": asking("*.a.example")}
    async with TlsStage(tmp_path, hello, ssls=ssls) as stage:
        outside = await stage.secure("open.example")
        assert (await ask(outside, host="open.example")).startswith(b"HTTP/1.1 200")
        assert (await ask(outside, host="x.a.example")).startswith(b"HTTP/1.1 400")
        inside = await stage.secure("x.a.example", with_certificate("jack", tmp_path, client_context()))
        for host, status in [("x.a.example", b"200"), ("X.A.Example.", b"200"), ("y.a.example", b"400")]:
            assert (await ask(inside, host=host)).startswith(b"HTTP/1.1 " + status)
        plain = await stage.client()
        assert (await ask(plain, host="x.a.example")).startswith(b"HTTP/1.1 200")


# What endpoints and conditions learn.


async def test_endpoints_learn_that_it_was_https_and_on_which_port(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, echo_head) as stage:
        client = await stage.secure()
        await client.say(get(host="a.example"))
        _, body = await client.hear_message()
        assert b"X-Forwarded-Proto: https" in body
        assert b"X-Forwarded-Port: %d" % stage.tls_port in body
        assert b"X-Forwarded-Host: a.example" in body


async def test_conditions_see_the_connection(tmp_path: Path) -> None:
    rules = [
        ["ssl_server_name", "==", "a.example"],
        ["ssl_protocol", "==", "TLSv1.3"],
        ["ssl_client_verify", "==", "SUCCESS"],
        ["ssl_client_s_dn", "==", "CN=jack"],
        ["ssl_client_i_dn", "==", "CN=root"],
        ["ssl_client_serial", "~~", "^([0-9A-F]{2})+$"],
        ["ssl_client_fingerprint", "~~", "^[0-9a-f]{40}$"],
        ["ssl_client_cert", "~~", "^-----BEGIN CERTIFICATE-----\n\t"],
        ["ssl_client_v_start", "==", "Jan  1 00:00:00 2026 GMT"],
        ["ssl_session_reused", "==", "."],
        ["scheme", "==", "https"],
    ]
    async with TlsStage(tmp_path, hello, ssls={"s1": asking("a.example")}, route={"vars": rules}) as stage:
        client = await stage.secure("a.example", with_certificate("jack", tmp_path, client_context()))
        assert await ask(client) == b"HTTP/1.1 200 OK"
        assert (await ask(await stage.client())).startswith(b"HTTP/1.1 404")


async def test_a_drain_waits_for_connections_and_cuts_handshakes(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        ended: list[bool] = []
        raw = await stage.raw()
        await stage.until(lambda: len(stage.shared.bare) == 1)
        stage.shared.is_draining = True
        stage.shared.on_empty = lambda: ended.append(True)
        client = await stage.secure()
        assert not ended
        await client.close()
        await stage.until(lambda: not stage.shared.connections)
        assert not ended
        for handshake in list(stage.shared.bare):
            handshake.cut()
        assert ended
        assert await raw.is_reset() is False


# Resumption.


async def resume(stage: TlsStage, session: str, *options: str, name: str = "a.example") -> bool:
    """Connect with openssl's client and this session file, written if it is not there; True when it was resumed."""
    how = "-sess_in" if os.path.exists(session) else "-sess_out"  # noqa: ASYNC240
    program = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{stage.tls_port}", "-servername", name, how, session),
        *("-ign_eof", *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    # An answer, so that the tickets of TLS 1.3 have come.
    out, _ = await program.communicate(get("/", "Connection: close", host=name))
    assert b"HTTP/1.1 200 OK" in out or b"HTTP/1.1 404" in out
    return b"\nReused, " in out


KEYS = [{"current": "A" * 43 + "=", "since": 1}, {"current": "B" * 43 + "=", "previous": "A" * 43 + "=", "since": 2}]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_session_is_resumed_on_another_gateway_and_across_a_rotation(tmp_path: Path, version: str) -> None:
    session = str(tmp_path / "session")
    async with TlsStage(tmp_path, hello) as one, TlsStage(tmp_path, hello) as other:
        for stage in (one, other):
            stage.put(("keys/tickets", KEYS[0]), prefix="/unilb/")
        assert not await resume(one, session, version)
        assert await resume(other, session, version)
        other.put(("keys/tickets", KEYS[1]), prefix="/unilb/")
        assert await resume(other, session, version)
        other.put(("keys/tickets", {"current": "C" * 43 + "=", "since": 3}), prefix="/unilb/")
        assert not await resume(other, session, version)
        assert other.shared.counters.totals["tls_resumed"] == 2


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_no_session_crosses_from_one_certificate_object_to_another(tmp_path: Path, version: str) -> None:
    ssls = {"s1": site("a.example"), "s2": site("b.example")}
    async with TlsStage(tmp_path, hello, ssls=ssls) as stage:
        session = str(tmp_path / "session")
        assert not await resume(stage, session, version)
        assert not await resume(stage, session, version, name="b.example")
        assert await resume(stage, session, version)
        # New rules for client certificates end the sessions made before them.
        stage.put(("ssls/s1", {"id": "s1", **asking("a.example", skip_mtls_uri_regex=["/"])}))
        assert not await resume(stage, session, version)


# OCSP stapling.


async def test_what_the_checker_found_is_stapled_for_those_who_ask(tmp_path: Path) -> None:
    about = document("http://127.0.0.1:1/")
    der = answer(Ssl.from_json({"id": "s1", **about}))
    async with TlsStage(tmp_path, hello, ssls={"s1": about}) as stage:
        for given, expected in [({}, 0), ({"s1": b64encode(der).decode()}, 1), ({"s1": ""}, 0)]:
            stage.shared.set_staples(given)
            program = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", f"127.0.0.1:{stage.tls_port}", "-servername", "a.example"),
                "-status",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            out, _ = await program.communicate()
            assert out.count(b"Cert Status: good") == expected
            assert (b"OCSP response: no response sent" in out) is (not expected)
            assert await ask(await stage.secure()) == b"HTTP/1.1 200 OK"
