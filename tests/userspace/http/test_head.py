import pytest

from userspace.http.events import ProtocolError
from userspace.http.head import METHODS, RequestHeadReader, ResponseHeadReader
from userspace.http.limits import DEFAULT_LIMITS


def read(block: bytes) -> object:
    return RequestHeadReader(DEFAULT_LIMITS).read(block)


@pytest.mark.parametrize("method", METHODS)
def test_every_listed_method_is_one_that_httptools_takes(method: bytes) -> None:
    target = b"*" if method == b"OPTIONS" else b"/"
    assert read(b"%b %b HTTP/1.1\r\nHost: a\r\n\r\n" % (method, target)).method == METHODS[method]  # type: ignore[attr-defined]


def test_an_absolute_target_outranks_the_host_field() -> None:
    head = RequestHeadReader(DEFAULT_LIMITS).read(b"GET http://B:81/c HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.host, head.authority, head.path) == ("b", "B:81", "/c")


def test_the_host_field_beside_an_absolute_target_must_be_valid_too() -> None:
    with pytest.raises(ProtocolError, match="Host"):
        read(b"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n")


def test_http_1_0_may_come_without_host() -> None:
    head = RequestHeadReader(DEFAULT_LIMITS).read(b"GET / HTTP/1.0\r\n\r\n")
    assert (head.host, head.authority, head.version) == ("", "", "1.0")


def test_expect_counts_in_http_1_1_only() -> None:
    head = RequestHeadReader(DEFAULT_LIMITS).read(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
    assert head.expect_continue is False


def test_a_reader_goes_on_behind_any_head() -> None:
    """httptools stops behind heads with a body, an upgrade or a close; the reader must not."""
    reader = RequestHeadReader(DEFAULT_LIMITS)
    for fields in (
        b"",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Connection: close\r\n",
        b"Proxy-Connection: close\r\n",
        b"Proxy-Connection: upgrade\r\nUpgrade: x\r\n",
        b"Connection: keep-alive\r\n",
        b"",
    ):
        head = reader.read(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"X: y\r\n\r\n")
        assert head.headers[-1] == (b"X", b"y")
        assert len(head.headers) == 2 + fields.count(b"\r\n")


def test_a_response_reader_goes_on_behind_any_head() -> None:
    reader = ResponseHeadReader(DEFAULT_LIMITS)
    for status, fields in [
        (200, b"Content-Length: 0\r\n"),
        (200, b"Content-Length: 5\r\n"),
        (200, b""),
        (304, b"Content-Length: 5\r\n"),
        (200, b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n"),
        (204, b"Connection: close\r\n"),
        (100, b""),
        (200, b"Transfer-Encoding: chunked\r\n"),
    ]:
        head = reader.read(b"HTTP/1.1 %d X\r\n" % status + fields + b"X: y\r\n\r\n", "GET")
        assert (head.status, head.headers[-1]) == (status, (b"X", b"y"))
        assert reader.read(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", "HEAD").body == 0
