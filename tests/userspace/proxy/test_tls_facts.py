import ssl
from pathlib import Path

import pytest

from tests.control.certificates import authority, pair
from tests.userspace.proxy.tls_stage import client_context, with_certificate
from userspace.proxy import openssl
from userspace.proxy.tls_contexts import load_pair
from userspace.proxy.tls_facts import facts


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """The server's side of a finished one."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(there, back, server_side=True)
    theirs = client.wrap_bio(back, there, server_hostname="a.example")
    finish(theirs, ours)
    return ours


def finish(*sides: ssl.SSLObject) -> None:
    waiting = list(sides)
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass


def server(**options: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, *pair("a.example"))
    for name, value in options.items():
        setattr(context, name, value)
    return context


def test_a_connection_is_described() -> None:
    found = facts(handshake(client_context(maximum_version=ssl.TLSVersion.TLSv1_2), server()), "a.example", False)
    assert (found.server_name, found.protocol, found.client_verify) == ("a.example", "TLSv1.2", "NONE")
    assert found.cipher.startswith("ECDHE-") and found.client_cert == ""
    assert found.session_id == "", "a context that names no sessions"


def test_a_clients_certificate_is_described_as_nginx_does(tmp_path: Path) -> None:
    context = server()
    context.load_verify_locations(cadata=authority().certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    found = facts(handshake(with_certificate("jack", tmp_path, client_context()), context), "a.example", True)
    assert (found.client_verify, found.client_subject, found.client_issuer) == ("SUCCESS", "CN=jack", "CN=root")
    assert found.client_begin == "Jan  1 00:00:00 2026 GMT"
    assert found.client_serial == found.client_serial.upper() and len(found.client_serial) % 2 == 0
    assert found.client_cert.startswith("-----BEGIN CERTIFICATE-----\n")


def test_a_resumed_session_is_said_to_be() -> None:
    context, client = server(), client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert not facts(handshake(client, context), "a.example", False).resumed
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    first = client.wrap_bio(back, there, server_hostname="a.example")
    finish(first, context.wrap_bio(there, back, server_side=True))
    again = client.wrap_bio(back, there, server_hostname="a.example", session=first.session)
    ours = context.wrap_bio(there, back, server_side=True)
    finish(again, ours)
    assert facts(ours, "a.example", False).resumed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_has_one_id_from_its_first_connection_on_whichever_ticket_is_shown(version: ssl.TLSVersion) -> None:
    context, client = server(), client_context(maximum_version=version)
    openssl.name_sessions(context)
    ids: list[tuple[str, bool]] = []
    tickets: list[ssl.SSLSession | None] = []

    def connect(session: ssl.SSLSession | None) -> None:
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        theirs = client.wrap_bio(back, there, server_hostname="a.example", session=session)
        ours = context.wrap_bio(there, back, server_side=True)
        finish(theirs, ours)
        tickets.append(theirs.session)
        ours.write(b"x")  # behind the tickets of TLS 1.3
        theirs.read(1)
        tickets.append(theirs.session)
        found = facts(ours, "a.example", False)
        ids.append((found.session_id, found.resumed))

    connect(None)
    for _ in range(3):
        connect(tickets[-1])
    first = ids[0][0]
    assert len(first) == 64 and ids == [(first, False), (first, True), (first, True), (first, True)]
    connect(None)
    assert ids[-1][0] != first and not ids[-1][1]
