"""The way into OpenSSL that ctypes takes. What it adds to handshakes is seen in test_tls_accept.py."""

import gc
import ssl
import weakref

import pytest

from userspace.proxy import openssl


def context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_this_interpreter_and_library_are_known() -> None:
    assert openssl.available
    assert openssl.check()


def test_an_unknown_interpreter_or_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.implementation.name", "pypy")
    assert openssl._load() is None
    monkeypatch.undo()
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_NUMBER", 0x40000000)
    assert openssl._load() is None
    monkeypatch.undo()
    monkeypatch.setattr(openssl, "_HEADER", 24)
    assert not openssl.check()


def test_without_it_nothing_is_set_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "available", False)
    made = context()
    openssl.set_mode(made, openssl.MODE_RELEASE_BUFFERS)
    openssl.set_session_cache(made, openssl.SESSION_CACHE_OFF)
    openssl.set_session_id_context(made, b"x")
    openssl.set_client_depth(made, 1)
    openssl.forbid(made, 0)
    openssl.name_client_authority(made, b"x")
    openssl.forgetter(made)()
    assert not openssl.set_groups(made, "X25519")
    assert not openssl.set_ticket_keys(made, tuple)
    assert not openssl.set_staple(made, bytes)
    assert not openssl.ask_without_insisting(made)
    connection = made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert openssl.verify_failure(connection) == ""
    assert openssl.session_id(connection) == b""
    openssl.end(connection)


def test_groups_that_the_library_does_not_know_are_refused() -> None:
    assert openssl.set_groups(context(), "X25519:P-256")
    assert not openssl.set_groups(context(), "X25519:P-257")


def test_bytes_that_are_no_certificate_are_passed_over() -> None:
    openssl.name_client_authority(context(), b"no certificate")


def test_a_context_that_is_gone_leaves_nothing_behind() -> None:
    before = len(openssl._tickets), len(openssl._staples)
    made = context()
    openssl.set_ticket_keys(made, tuple)
    openssl.set_staple(made, bytes)
    weakref.finalize(made, openssl.forgetter(made))
    assert (len(openssl._tickets), len(openssl._staples)) == (before[0] + 1, before[1] + 1)
    del made
    gc.collect()
    assert (len(openssl._tickets), len(openssl._staples)) == before
