"""Whatever way the bytes come cut up, the answer is the same; and what is no ClientHello is refused early."""

import ssl
import time

import pytest

from userspace.http.client_hello import MAX_BYTES, ClientHello, ClientHelloError, ClientHelloReader


def hello_of(name: str | None, protocols: list[str] | None = None) -> bytes:
    """What OpenSSL sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(protocols)
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


def vector(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size, "big") + body


def made(
    *extensions: tuple[int, bytes], session_id: bytes = b"", tail: bytes = b"", records: int = 1, kind: int = 1
) -> bytes:
    """A ClientHello by hand; `records`: the most bytes of the message in each record (1: all in one)."""
    body = b"\x03\x03" + bytes(32) + vector(1, session_id) + vector(2, b"\x13\x01") + vector(1, b"\0")
    listed = b"".join(number.to_bytes(2, "big") + vector(2, content) for number, content in extensions)
    message = bytes([kind]) + vector(3, body + vector(2, listed) + tail)
    size = records if records > 1 else len(message)
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def name_of(*names: bytes, kind: int = 0) -> tuple[int, bytes]:
    return 0, vector(2, b"".join(bytes([kind]) + vector(2, name) for name in names))


def read(data: bytes) -> ClientHello | None:
    return ClientHelloReader().feed(data)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_openssls_own_is_read_however_it_is_cut(size: int) -> None:
    data = hello_of("A.Example", ["h2", "http/1.1"])
    reader = ClientHelloReader()
    answers = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert answers[:-1] == [None] * (len(answers) - 1)
    hello = answers[-1]
    assert hello is not None
    assert (hello.server_name, hello.protocols) == ("a.example", (b"h2", b"http/1.1"))
    assert 0x0304 in hello.versions and len(hello.session_id) == 32
    assert reader.data == data


def test_it_is_read_at_every_split() -> None:
    data = hello_of("a.example")
    for at in range(1, len(data)):
        reader = ClientHelloReader()
        assert reader.feed(data[:at]) is None
        hello = reader.feed(data[at:])
        assert hello is not None and hello.server_name == "a.example"


@pytest.mark.parametrize("size", [2, 5, 40])
def test_it_may_be_spread_over_records(size: int) -> None:
    hello = read(made(name_of(b"a.example"), records=size))
    assert hello is not None and hello.server_name == "a.example"


def test_what_follows_is_left_alone() -> None:
    reader = ClientHelloReader()
    assert reader.feed(made(name_of(b"a.example")) + b"more") is not None
    assert reader.data.endswith(b"more")


def test_a_client_may_name_no_server() -> None:
    hello = read(made())
    assert hello == ClientHello("", (), (0x0303,), b"")


def test_the_name_is_in_lower_case_and_without_its_last_dot() -> None:
    hello = read(made(name_of(b"WWW.a.Example.")))
    assert hello is not None and hello.server_name == "www.a.example"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not_tls"),
        (b"\x80\x2e\x01\x03\x01", "not_tls"),
        (b"\x16\x02", "not_tls"),
        (b"\x16\x03\x01\x00\x00", "malformed"),
        (b"\x16\x03\x01\x40\x01", "malformed"),
        (b"\x16\x03\x01\x00\x04\x02", "malformed"),
        (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "too_long"),
        (b"\x16\x03\x01\x00\x01\x01\x17\x03\x01", "malformed"),
        (made(name_of(b"a"), kind=2), "malformed"),
        (made(name_of(b"a"), session_id=bytes(33)), "malformed"),
        (made(name_of(b"a"), name_of(b"a")), "malformed"),
        (made(name_of(b"a"), tail=b"x"), "malformed"),
        (made((0, b"\x00\x09\x00\x00\x20a")), "malformed"),
        (made((16, b"\x00\x02\x05h")), "malformed"),
        (made((43, b"\x04\x03")), "malformed"),
        (made((0, b"\0\0")), "malformed"),
        (made(name_of(b"")), "bad_server_name"),
        (made(name_of(b".")), "bad_server_name"),
        (made(name_of(b"a", b"b")), "bad_server_name"),
        (made(name_of(b"a", kind=1)), "bad_server_name"),
        (made(name_of(b"a b")), "bad_server_name"),
        (made(name_of(b"a\0.example")), "bad_server_name"),
        (made(name_of(b"\xc3\xa4.example")), "bad_server_name"),
        (made(name_of(b"a" * 256)), "bad_server_name"),
    ],
)
def test_it_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    for size in (len(data), 1):
        reader = ClientHelloReader()
        with pytest.raises(ClientHelloError) as caught:
            for at in range(0, len(data), size):
                assert reader.feed(data[at : at + size]) is None
        assert caught.value.reason == reason


def test_it_is_bounded_and_costs_no_more_in_small_pieces() -> None:
    # One byte of the message per record, one byte per read: the most work for the fewest bytes.
    message = b"\x01" + (MAX_BYTES - 1).to_bytes(3, "big") + bytes(MAX_BYTES)
    reader = ClientHelloReader()
    began = time.process_time()
    with pytest.raises(ClientHelloError) as caught:
        for octet in message:
            for at in range(6):
                reader.feed((b"\x16\x03\x01\x00\x01" + bytes([octet]))[at : at + 1])
    assert caught.value.reason == "too_long"
    assert len(reader.data) <= MAX_BYTES
    assert time.process_time() - began < 2  # 0.06 s; a parser that begins anew with each read takes minutes


def test_a_message_that_ends_early_is_malformed_at_every_length() -> None:
    whole = made(name_of(b"a.example"), (16, b"\x00\x03\x02h2"))
    body = whole[9:]
    for size in range(len(body)):
        cut = b"\x16\x03\x01" + vector(2, b"\x01" + vector(3, body[:size]))
        try:
            hello = read(cut)
        except ClientHelloError as error:
            assert error.reason in ("malformed", "bad_server_name")
        else:
            assert hello == ClientHello("", (), (0x0303,), b"")  # without extensions it is whole
