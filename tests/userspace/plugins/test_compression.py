import zlib

import pytest

from tests.requests import request
from userspace.plugins.compression import Coder, Coders, accepts, is_wanted, mark
from userspace.plugins.response import Response

CONF = {"types": ["text/html"], "min_length": 20, "http_version": 1.1}
HTML = (b"Content-Type", b"text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("said", "gzip", "br"),
    [
        ((), False, False),
        (("Accept-Encoding: gzip",), True, False),
        (("Accept-Encoding: br",), False, True),
        (("Accept-Encoding: GZIP, BR",), True, True),
        (("Accept-Encoding: *",), False, True),
        (("Accept-Encoding: gzip;q=0.5, br;q=0",), True, False),
        (("Accept-Encoding: gzip; q=0.000, br; q=0.001",), False, True),
        (("Accept-Encoding: br;q=0, *",), False, False),
        (("Accept-Encoding: *;q=0",), False, False),
        (("Accept-Encoding: gzip;q=0.8, deflate, sdch;q=0.6, *;q=0.1",), True, True),
        (("Accept-Encoding: deflate", "Accept-Encoding: gzip"), True, False),
        (("Accept-Encoding: x-gzip, brotli, gzipped",), False, False),
        (("Accept-Encoding: ,;q=, gzip;q=x",), True, False),
    ],
)
def test_a_client_says_which_codings_it_takes(said: tuple[str, ...], gzip: bool, br: bool) -> None:
    asked = request("GET", "/", *said)
    assert accepts(asked, b"gzip", by_wildcard=False) is gzip
    assert accepts(asked, b"br", by_wildcard=True) is br


@pytest.mark.parametrize(
    ("method", "status", "headers", "expected"),
    [
        ("GET", 200, [HTML], True),
        ("POST", 500, [HTML], True),
        ("GET", 200, [], False),
        ("GET", 200, [(b"Content-Type", b"text/plain")], False),
        ("GET", 200, [HTML, (b"Content-Length", b"20")], True),
        ("GET", 200, [HTML, (b"Content-Length", b"19")], False),
        ("HEAD", 200, [HTML], False),
        ("CONNECT", 200, [HTML], False),
        ("GET", 101, [HTML], False),
        ("GET", 204, [HTML], False),
        ("GET", 206, [HTML], False),
        ("GET", 304, [HTML], False),
        ("GET", 200, [HTML, (b"Cache-Control", b"max-age=1, No-Transform")], False),
    ],
)
def test_an_answer_is_worth_it(method: str, status: int, headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    one = request()
    one.head.method = method
    assert is_wanted(CONF, one, Response(status, headers, False)) is expected


def test_all_types_and_old_clients_are_served_where_they_are_wanted() -> None:
    video = Response(200, [(b"Content-Type", b"video/3gpp")], False)
    assert is_wanted(CONF | {"types": "*"}, request(), video)
    old = request()
    old.head.version = "1.0"
    assert not is_wanted(CONF, old, Response(200, [HTML], False))
    assert is_wanted(CONF | {"http_version": 1}, old, Response(200, [HTML], False))


@pytest.mark.parametrize(
    ("etag", "expected"),
    [
        (b'"1"', b'W/"1"'),
        (b'W/"1"', b'W/"1"'),
        (b"1", None),
        (b'"1"2"', None),
    ],
)
def test_a_coded_body_has_no_strong_tag_and_no_ranges(etag: bytes, expected: bytes | None) -> None:
    response = Response(200, [(b"Etag", etag), (b"Content-Length", b"9"), (b"Accept-Ranges", b"bytes")], False)
    response.add_header(b"Last-Modified", b"Thu, 27 Nov 2025 00:32:33 GMT")
    mark(response, b"gzip")
    assert response.header(b"etag") == expected
    assert response.header(b"content-encoding") == b"gzip" and response.header(b"last-modified") is not None
    assert response.header(b"content-length") is None and response.header(b"accept-ranges") is None


class Zlib:
    def __init__(self) -> None:
        self._inner = zlib.compressobj()
        self.compress = self._inner.compress

    def flush(self) -> bytes:
        return self._inner.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._inner.flush()


def test_what_came_of_an_endless_body_can_be_read_at_once() -> None:
    coders, inflate = Coders(), zlib.decompressobj()
    coder = Coder(Zlib(), True, coders, 100)
    assert inflate.decompress(coder(b"event: 1\n\n", False)) == b"event: 1\n\n"
    assert coder(b"", False) == b""
    assert inflate.decompress(coder(b"", True)) == b"" and inflate.eof


def test_memory_is_counted_until_the_body_ends_or_is_given_up() -> None:
    coders = Coders(most=250)
    first, second = Coder(Zlib(), False, coders, 100), Coder(Zlib(), False, coders, 100)
    assert coders.taken == 200 and not coders.may_take(51) and coders.may_take(50)
    assert coders.declined == 1
    first(b"", True)
    del second
    assert coders.taken == 0 and coders.may_take(250)
    del first
    assert coders.taken == 0
