import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of
from userspace.plugins.response import Response


def answered(conf: dict[str, object], *pieces: bytes, coding: bytes | None = None) -> tuple[bytes, Response]:
    """The body that a client gets of one that came in pieces, and the head."""
    headers = [(b"Content-Length", b"9"), (b"X-A", b"1")]
    response = Response(200, headers + ([(b"Content-Encoding", coding)] if coding else []), False)
    filter_of("echo", conf).header_filter(request(), response)
    whole = b""
    for number, data in enumerate(pieces, 1):
        for transform in response.transforms:
            data = transform(data, number == len(pieces))
        whole += data
    return whole, response


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"before_body": "<"}, b"<hello"),
        ({"after_body": ">"}, b"hello>"),
        ({"before_body": "<", "after_body": ">"}, b"<hello>"),
        ({"body": "new"}, b"new"),
        ({"before_body": "<", "body": "new", "after_body": ">"}, b"<new>"),
        ({"body": ""}, b""),
    ],
)
def test_text_stands_around_the_body_or_instead_of_it(conf: dict[str, object], expected: bytes) -> None:
    for pieces in ((b"hello",), (b"he", b"llo", b""), (b"hello", b"")):
        whole, response = answered(conf, *pieces)
        assert whole == expected and response.header(b"content-length") is None


def test_headers_are_set() -> None:
    _, response = answered({"body": "", "headers": {"X-A": 2, "X-B": "y"}}, b"")
    assert response.headers == [(b"X-A", b"2"), (b"X-B", b"y")]


def test_a_coded_body_is_replaced_but_not_added_to() -> None:
    assert answered({"body": "new"}, b"\x1f", coding=b"gzip")[1].header(b"content-encoding") is None
    whole, response = answered({"before_body": "<"}, b"\x1f", coding=b"gzip")
    assert (whole, response.header(b"content-encoding")) == (b"\x1f", b"gzip")
