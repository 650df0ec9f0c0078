import pytest

from userspace.http.grammar import BAD_BYTE, REQUEST_HEAD, RESPONSE_HEAD, TRAILERS, why_not_request, why_not_response

TOKEN = set(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_is_taken_only_where_the_grammar_has_it(byte: int) -> None:
    one = bytes([byte])
    assert bool(REQUEST_HEAD.fullmatch(b"G%bT / HTTP/1.1\r\n\r\n" % one)) is (byte in TOKEN)
    assert bool(REQUEST_HEAD.fullmatch(b"GET /%b HTTP/1.1\r\n\r\n" % one)) is (0x21 <= byte <= 0x7E)
    assert bool(REQUEST_HEAD.fullmatch(b"GET / HTTP/1.1\r\nX%by: a\r\n\r\n" % one)) is (byte in TOKEN or one == b":")
    in_value = byte == 9 or 0x20 <= byte <= 0x7E or byte >= 0x80
    assert bool(TRAILERS.fullmatch(b"X: a%bb\r\n\r\n" % one)) is in_value
    assert bool(RESPONSE_HEAD.fullmatch(b"HTTP/1.1 200 O%bK\r\n\r\n" % one)) is in_value
    assert bool(BAD_BYTE.search(b"a%bb" % one)) is (not in_value)


def test_a_line_end_is_no_bad_byte_and_half_of_one_is() -> None:
    assert BAD_BYTE.search(b"a\r\nb\r\n\r\n") is None
    assert BAD_BYTE.search(b"a\r") is None
    for bad in (b"a\n", b"\n", b"a\r\r\n", b"a\rb", b"a\r\n\n"):
        assert BAD_BYTE.search(bad) is not None


def test_a_refusal_names_the_first_fault() -> None:
    assert str(why_not_request(b"GET / HTTP/1.1\r\nX: a\x01\r\n\r\n")) == "400: control byte 0x01 in head"
    assert str(why_not_request(b"GET / HTTP/1.1\r\nA: b\r\nX : a\r\n\r\n")) == "400: space before colon in header line"
    assert str(why_not_request(b"GET / HTTP/7.1\r\n\r\n")) == "505: unsupported HTTP version"
    assert str(why_not_response(b"HTTP/1.1 OK\r\n\r\n")) == "502: bad status line"
