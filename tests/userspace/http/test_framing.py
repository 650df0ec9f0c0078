import pytest

from userspace.http.events import CHUNKED, UNTIL_CLOSE, ProtocolError
from userspace.http.framing import may_have_body, relayed_body, request_body, response_body


@pytest.mark.parametrize(
    ("version", "coding", "length", "body"),
    [
        ("1.1", None, None, 0),
        ("1.1", None, b"0", 0),
        ("1.1", None, b"0012", 12),
        ("1.0", None, b"12", 12),
        ("1.1", None, b"9223372036854775807", 2**63 - 1),
        ("1.1", b"chunked", None, CHUNKED),
        ("1.1", b"CHUNKED", None, CHUNKED),
    ],
)
def test_a_request_body_has_a_length_or_is_chunked(
    version: str, coding: bytes | None, length: bytes | None, body: int | None
) -> None:
    assert request_body(version, coding, length) == body


@pytest.mark.parametrize(
    ("version", "coding", "length", "status"),
    [
        ("1.1", b"chunked", b"5", 400),
        ("1.0", b"chunked", None, 400),
        ("1.1", b"gzip, chunked", None, 501),
        ("1.1", b"chunked, gzip", None, 400),
        ("1.1", b"", None, 400),
        ("1.1", None, b"", 400),
        ("1.1", None, b"9223372036854775808", 400),
        ("1.1", None, b"1\n", 400),
    ],
)
def test_a_length_that_leaves_a_choice_is_refused(
    version: str, coding: bytes | None, length: bytes | None, status: int
) -> None:
    with pytest.raises(ProtocolError) as refused:
        request_body(version, coding, length)
    assert refused.value.status == status
    for method, code in (("GET", 200), ("HEAD", 200), ("GET", 304)):
        with pytest.raises(ProtocolError, match="502"):
            response_body(method, code, version, coding, length)


@pytest.mark.parametrize(
    ("method", "status", "coding", "length", "body"),
    [
        ("GET", 200, None, None, UNTIL_CLOSE),
        ("GET", 200, None, b"3", 3),
        ("GET", 200, b"chunked", None, CHUNKED),
        ("HEAD", 200, None, b"3", 0),
        ("HEAD", 200, b"chunked", None, 0),
        ("GET", 204, None, None, 0),
        ("GET", 304, None, b"3", 0),
        ("GET", 101, None, None, 0),
        ("POST", 100, None, None, 0),
    ],
)
def test_a_response_body_depends_on_method_and_status_first(
    method: str, status: int, coding: bytes | None, length: bytes | None, body: int | None
) -> None:
    assert response_body(method, status, "1.1", coding, length) == body


def test_a_body_is_relayed_so_that_its_end_can_be_seen() -> None:
    assert [relayed_body("1.1", body) for body in (0, 5, CHUNKED, UNTIL_CLOSE)] == [0, 5, CHUNKED, CHUNKED]
    assert [relayed_body("1.0", body) for body in (0, 5, CHUNKED, UNTIL_CLOSE)] == [0, 5, UNTIL_CLOSE, UNTIL_CLOSE]


def test_some_answers_end_with_their_head() -> None:
    assert may_have_body("GET", 200) and may_have_body("POST", 500)
    assert not any(may_have_body(method, status) for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304)))
    assert not may_have_body("GET", 100)
