"""What https probes show and whom they believe, against endpoints that ask for a certificate."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from control.model.ssl import Ssl
from control.model.upstream import Upstream, UpstreamTls
from tests.control.certificates import authority, pair
from tests.userspace.health.endpoints import answering, listening
from tests.userspace.health.upstreams import upstream
from userspace.health.probe import Result, probe
from userspace.health.secured import ProbeContexts
from userspace.health.state import Outcome
from userspace.health.targets import targets_of
from userspace.proxy.tls_contexts import ContextError

OK = answering(b"HTTP/1.1 200 OK\r\n\r\n")
CERTIFICATE, KEY = authority().sign("client.example")
SHOWN = Ssl("c", ((CERTIFICATE, KEY),), is_client=True)


def server(folder: Path) -> ssl.SSLContext:
    """Of h.example, by our authority; it takes nobody without a certificate of that."""
    (folder / "ca.pem").write_text(authority().certificate)
    (folder / "server.pem").write_text("".join(authority().sign("h.example")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def https(port: int, tls: UpstreamTls, verify: bool = True) -> Upstream:
    nodes = {f"127.0.0.1:{port}": 1}
    plain = upstream(nodes, type="https", host="h.example", timeout=2, https_verify_certificate=verify)
    return replace(plain, tls=tls)


@pytest.mark.parametrize("tls", [UpstreamTls(CERTIFICATE, KEY), UpstreamTls(client_cert_id="c")])
async def test_probes_show_the_certificate_of_the_upstream(tmp_path: Path, tls: UpstreamTls) -> None:
    async with listening(OK, server(tmp_path)) as port:
        asked = https(port, tls)
        (target,) = targets_of(asked).values()
        contexts = ProbeContexts(lambda id: asked, lambda id: SHOWN, str(tmp_path / "ca.pem"))
        contexts.prepare()
        assert await probe(target, contexts.of) == Result(Outcome.SUCCESS, "status 200")
        bare = ProbeContexts(lambda id: None, lambda id: None, str(tmp_path / "ca.pem"))
        assert (await probe(target, bare.of)).outcome is Outcome.TCP


def test_the_check_s_own_word_on_verification_counts(tmp_path: Path) -> None:
    for verify in (True, False):
        asked = https(1, UpstreamTls(verify=not verify), verify)
        (target,) = targets_of(asked).values()
        context = ProbeContexts(lambda id, asked=asked: asked, lambda id: None, "").of(target)  # type: ignore[misc]
        assert (context.verify_mode is ssl.CERT_REQUIRED) is verify and context.check_hostname is verify


def test_a_context_is_made_once_and_anew_for_another_certificate() -> None:
    upstreams = {"u": https(1, UpstreamTls(CERTIFICATE, KEY))}
    (target,) = targets_of(upstreams["u"]).values()
    contexts = ProbeContexts(upstreams.get, lambda id: None, "")
    first = contexts.of(target)
    assert contexts.of(target) is first
    upstreams["u"] = https(1, UpstreamTls(*pair("other.example")))
    contexts.sweep()
    assert contexts.of(target) is not first
    del upstreams["u"]
    contexts.sweep()
    assert contexts._asked_as == {}


def test_a_certificate_that_is_not_there_is_named() -> None:
    asked = https(1, UpstreamTls(client_cert_id="9"))
    (target,) = targets_of(asked).values()
    with pytest.raises(ContextError, match="ssl 9 does not exist"):
        ProbeContexts(lambda id: asked, lambda id: None, "").of(target)
