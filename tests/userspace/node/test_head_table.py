"""The guard's grammar, walked in Python: what it lets through, a regular expression of RFC 9112 does too."""

import re

from hypothesis import given
from hypothesis import strategies as st

from userspace.node.head_table import STATES, SYMBOLS, HeadState, head_table

TABLE = head_table()
HEAD = re.compile(
    rb"[A-Z]* /[\x21\x22\x24-\x3e\x40-\x7e]*(\?[\x21\x22\x24-\x7e]*)? HTTP/1\.1\r\n"
    rb"([!#$%&'*+.^`|~0-9A-Za-z-]+:[ \t]*([\x21-\x7e\x80-\xff][\t \x21-\x7e\x80-\xff]*)?\r\n)*\r\n"
)
PIECES = (
    *(
        b"GET",
        b"get",
        b" ",
        b"/",
        b"a",
        b"?",
        b"#",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\r",
        b"\n",
        b"Host",
        b":",
        b": ",
    ),
    *(b"\t", b"\0", b"\x7f", b"\xe9", b"x", b'"', b"GET /a HTTP/1.1\r\n", b"Host: b\r\n"),
)


def walk(text: bytes) -> HeadState | None:
    """Return DONE, BAD, or None for a text that ends within a head."""
    state = int(HeadState.METHOD)
    for index, byte in enumerate(text):
        state = TABLE[state * SYMBOLS + byte]
        if state in (HeadState.DONE, HeadState.BAD):
            return HeadState(state) if state == HeadState.BAD or index == len(text) - 1 else None
    return None


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
def test_the_table_takes_exactly_the_heads_of_the_grammar(text: bytes) -> None:
    assert (walk(text) == HeadState.DONE) == bool(HEAD.fullmatch(text))


def test_a_whole_head_is_taken() -> None:
    assert walk(b"GET /a?b=c?d HTTP/1.1\r\nHost: x\r\nEmpty:\r\nBlank: \t\r\nName:value \xe9\r\n\r\n") == HeadState.DONE


def test_a_name_that_a_condition_could_take_for_another_goes_to_user_space() -> None:
    assert walk(b"GET / HTTP/1.1\r\nUser-Agent: a\r\n\r\n") == HeadState.DONE
    assert walk(b"GET / HTTP/1.1\r\nUser_Agent: a\r\n\r\n") == HeadState.BAD


def test_only_names_are_read_in_small_letters() -> None:
    small = TABLE[STATES * SYMBOLS + 64 :]
    assert [state for state in range(STATES) if small[state]] == [HeadState.NAME]


def test_method_path_query_names_and_values_are_kept() -> None:
    keep = TABLE[STATES * SYMBOLS : STATES * SYMBOLS + 32]
    assert [HeadState(state).name for state in range(STATES) if keep[state]] == [
        "METHOD",
        "PATH",
        "QUERY",
        "NAME",
        "VALUE",
    ]
