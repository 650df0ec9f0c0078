import gzip
from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import answered, filter_of
from userspace.plugins.filters.response_rewrite import TooLong
from userspace.plugins.response import Response


def rewritten(came: bytes = b"hello world\n", coding: str | None = None, **conf: Any) -> tuple[Response, bytes]:
    """The response and what becomes of a body that comes byte by byte."""
    headers = [(b"Content-Length", b"12"), (b"ETag", b"1"), (b"X-A", b"1")]
    response = Response(200, headers + ([(b"Content-Encoding", coding.encode())] if coding else []), False)
    one = request("GET", "/a")
    one.response = response
    filter_of("response-rewrite", conf).header_filter(one, response)
    pieces = [bytes((byte,)) for byte in came]
    for transform in response.transforms:
        pieces = [transform(piece, False) for piece in pieces] + [transform(b"", True)]
    return response, b"".join(pieces)


def test_status_and_body_are_replaced() -> None:
    response, body = rewritten(status_code=500, body="new\n")
    assert (response.status, body) == (500, b"new\n")
    assert response.header(b"content-length") is None and response.header(b"etag") is None


def test_a_body_may_be_given_in_base64() -> None:
    response = Response(200, [], False)
    filter_of("response-rewrite", {"body": "aGVsbG8", "body_base64": True}).header_filter(request(), response)
    assert response.transforms[0](b"", True) == b"hello"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([{"regex": "hello", "replace": "test"}], b"test world\n"),
        ([{"regex": "l", "replace": "t", "scope": "global"}], b"hetto wortd\n"),
        ([{"regex": "hello", "replace": "HELLO"}, {"regex": "L", "replace": "T"}], b"HETLO world\n"),
        ([{"regex": "\\w\\S+$", "replace": "*"}], b"hello *\n"),
        ([{"regex": "(h)(e)", "replace": "$2${1}$$"}], b"eh$llo world\n"),
        ([{"regex": "HELLO", "replace": "x", "options": "ijo"}], b"x world\n"),
        ([{"regex": "o.+", "replace": "x", "options": "s"}], b"hellx"),
        ([{"regex": "h e l l o # all", "replace": "x", "options": "x"}], b"x world\n"),
        ([{"regex": "world", "replace": "x", "options": "a"}], b"hello world\n"),
        ([{"regex": "none", "replace": "x"}], b"hello world\n"),
    ],
)
def test_filters_change_the_whole_body(filters: list[dict[str, str]], expected: bytes) -> None:
    assert rewritten(filters=filters)[1] == expected


FILTER = [{"regex": "hello", "replace": "test"}]


def test_a_coded_body_is_read_first() -> None:
    response, body = rewritten(gzip.compress(b"hello"), "gzip", filters=FILTER)
    assert body == b"test" and response.header(b"content-encoding") is None


def test_what_is_not_coded_as_it_says_passes_as_it_is_and_so_do_unknown_codings() -> None:
    response, body = rewritten(b"hello", "deflate", filters=FILTER)
    assert body == b"hello" and response.header(b"content-encoding") is None
    response, body = rewritten(b"hello", "zstd", filters=FILTER)
    assert body == b"hello" and response.header(b"content-encoding") == b"zstd"


def test_a_body_that_is_too_long_is_not_passed_on_half_changed() -> None:
    with pytest.raises(TooLong, match="max_resp_body_size"):
        rewritten(filters=FILTER, max_resp_body_size=11)
    assert rewritten(filters=FILTER, max_resp_body_size=12)[1] == b"test world\n"


def test_headers_are_added_set_and_removed() -> None:
    conf = {"headers": {"add": ["X-A: 2", "X-B : $uri"], "set": {"X-C": 3, "X-D": "$status"}, "remove": ["X-E"]}}
    one = request("GET", "/a")
    headers = answered(filter_of("response-rewrite", conf), one, (b"X-A", b"1"), (b"x-c", b"0"), (b"X-E", b"5"))
    assert headers == {"X-A": "1, 2", "X-B": "/a", "X-C": "3", "X-D": "200"}
    assert answered(filter_of("response-rewrite", {"headers": {"X-A": "9"}}), one, (b"x-a", b"1")) == {"X-A": "9"}


def test_only_answers_that_match_are_changed() -> None:
    for status, expected in ((200, b"new"), (404, b"hello world\n")):
        body = rewritten(vars=[["status", "==", status]], body="new")[1]
        assert body == expected


def test_a_header_that_is_set_to_nothing_is_gone() -> None:
    conf = {"headers": {"set": {"X-A": "", "Content-Type": "$arg_none"}, "add": ["X-B: $arg_none"]}}
    response = Response(200, [(b"X-A", b"1"), (b"content-type", b"text/plain"), (b"X-C", b"3")], False)
    filter_of("response-rewrite", conf).header_filter(request(), response)
    assert response.headers == [(b"X-C", b"3")]
