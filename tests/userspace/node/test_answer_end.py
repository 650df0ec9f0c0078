"""Whether an answer is over, from what is kept of it."""

import pytest

from userspace.node.answer_end import QUIET_NS, is_whole
from userspace.node.splice_abi import ANSWER_BYTES, ANSWER_MORE, Flag, Splice

HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\n"
SIZED = HEAD + b"Content-Length: 1000\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: Chunked\r\n\r\n"
CLOSED = HEAD + b"\r\n"
LONG = HEAD + b"Set-Cookie: " + b"c" * 2000 + b"\r\nContent-Length: 2\r\n\r\n"
NOW = 10 * QUIET_NS
WRAPS = 2**32 - 100


def told(answer: bytes, packets: int = 1, **fields: int) -> tuple[Splice, bytes]:
    """Return what is kept of an answer of which so much has come, in one packet or in a first one of the head, as long
    as that may be, and one of the others."""
    splice = Splice(requests=3, answer=WRAPS, bytes_before=5, answered_ns=NOW)
    head = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    first = answer if packets == 1 else answer[: len(head)]
    said = first[:ANSWER_BYTES]
    if len(said) == len(first) <= ANSWER_BYTES - ANSWER_MORE:
        said += answer[len(first) :][:ANSWER_MORE]
    splice.said_len = len(said)
    splice.end[1] = WRAPS + len(answer) & 0xFFFFFFFF
    splice.bytes[1] = 5 + len(answer)
    if len(answer) > len(said):
        splice.last[:] = answer[len(first) if packets > 1 else 0 :][-8:].rjust(8, b"\0")
    for name, value in fields.items():
        setattr(splice, name, value)
    return splice, said


@pytest.mark.parametrize(
    ("answer", "is_over"),
    [
        (SIZED + bytes(1000), True),
        (SIZED + bytes(1001), True),
        (SIZED + bytes(999), False),
        (SIZED, False),
        (SIZED.replace(b"1000", b"0"), True),
        (SIZED.replace(b"Content-L", b"content-l").replace(b": 1000", b":\t3 ") + b"ab", False),
        (SIZED.replace(b"200 OK", b"304 Not Modified"), True),
        (SIZED.replace(b"200", b"204"), True),
        (CHUNKED, False),
        (CHUNKED + b"0\r\n\r\n", True),
        (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", True),
        (CHUNKED + b"3e8\r\n" + b"z" * 1000 + b"\r\n0\r\n\r\n", True),
        (CHUNKED + b"3\r\nabc\r\n", False),
        (CHUNKED + b"a\r\n00000\r\n\r\n", False),
        (CHUNKED + b"400\r\n" + b"z" * 1000, False),
        (CLOSED + b"abc", False),
        (CHUNKED + b"a00\r\n" + b"z" * 2560 + b"\r\n0\r\n\r\n", True),
        (CHUNKED + b"a00\r\n" + b"z" * 2560, False),
        (LONG + b"ab", True),
        (LONG + b"a", False),
        (LONG[:-2], False),  # all of it is here: the head goes on
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2600, False),
    ],
)
@pytest.mark.parametrize("packets", [1, 2])
def test_a_response_is_over_when_its_framing_says_so(answer: bytes, is_over: bool, packets: int) -> None:
    assert is_whole(*told(answer, packets), NOW) is is_over


def test_the_answer_to_head_has_no_body() -> None:
    assert is_whole(*told(SIZED, asked_head=1), NOW)


def test_a_fin_is_no_byte_of_it() -> None:
    ended, said = told(CHUNKED + b"3e8\r\n" + b"z" * 1000 + b"\r\n0\r\n\r\n", flags=Flag.FIN_DOWN)
    ended.end[1] += 1
    assert is_whole(ended, said, NOW)


def test_before_the_first_request_nothing_is_under_way() -> None:
    assert is_whole(Splice(), b"", NOW)


def test_what_cannot_be_told_is_over_when_nothing_more_comes() -> None:
    trailers = CHUNKED + b"0\r\nx: y\r\n\r\n"
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2600 + b"\r\n\r\n"
    overtaken = (told(SIZED + bytes(1000))[0], b"")
    for splice, said in (told(trailers), told(SIZED + bytes(1000), mixed=1), told(endless), overtaken):
        assert not is_whole(splice, said, NOW + QUIET_NS)
        assert is_whole(splice, said, NOW + QUIET_NS + 1)
    for splice, said in (told(SIZED), told(LONG[:-2])):  # that it can be
        assert not is_whole(splice, said, NOW + 100 * QUIET_NS)


def test_numbers_that_have_come_round_are_not_taken_for_the_end() -> None:
    large, said = told(HEAD + b"Content-Length: 6000000000\r\n\r\n")
    begun = large.said_len
    for body, is_over in ((6_000_000_000, True), (5_999_999_999, False), (6_000_000_000 - 2**32, False)):
        large.bytes[1] = 5 + begun + body
        large.end[1] = WRAPS + begun + body & 0xFFFFFFFF
        assert is_whole(large, said, NOW) is is_over
