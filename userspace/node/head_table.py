"""The grammar of a request head as the guard reads it (bpf/lib/guard_head.h): one table, a byte at a time.

Narrower than RFC 9112: what is unusual goes back to user space, where a complete parser is. A name or value that the
table lets through is one that every server reads the same way.
"""

from enum import IntEnum

from userspace.node.splice_abi import Attribute

STATES, SYMBOLS = 32, 256
# What names consist of (RFC 9110 section 5.6.2) but for `_`: conditions on `http_user_agent` read User_Agent too.
NAME = frozenset(b"!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
CR, LF, BLANK, TAB = 13, 10, 32, 9


class HeadState(IntEnum):
    METHOD = 0
    PATH = 1
    QUERY = 2
    VERSION = 3  # and the ten after it: the bytes of "HTTP/1.1", CR, LF
    LINE = 14
    NAME = 15
    BLANK = 16
    VALUE = 17
    CR = 18
    LAST = 19
    TARGET = 20  # the blank before the path
    DONE = 30
    BAD = 31


def head_table() -> bytes:
    """Return `struct guard_table`: the next state for [state * 256 + byte], the states whose bytes matter, to which
    attribute, and those that read capital letters as small ones. A part begins with the byte that led to its state."""
    table = bytearray([HeadState.BAD]) * (STATES * SYMBOLS)

    def on(state: int, symbols: bytes | frozenset[int], then: int) -> None:
        for symbol in symbols:
            table[state * SYMBOLS + symbol] = then

    target = bytes(set(range(0x21, 0x7F)) - set(b"#"))
    text = bytes({TAB, *range(0x20, 0x7F), *range(0x80, 0x100)})
    on(HeadState.METHOD, bytes(range(ord("A"), ord("Z") + 1)), HeadState.METHOD)
    on(HeadState.METHOD, b" ", HeadState.TARGET)
    on(HeadState.TARGET, b"/", HeadState.PATH)
    on(HeadState.PATH, target, HeadState.PATH)
    on(HeadState.PATH, b"?", HeadState.QUERY)
    on(HeadState.QUERY, target, HeadState.QUERY)
    on(HeadState.PATH, b" ", HeadState.VERSION)
    on(HeadState.QUERY, b" ", HeadState.VERSION)
    for offset, symbol in enumerate(b"HTTP/1.1\r"):
        on(HeadState.VERSION + offset, bytes([symbol]), HeadState.VERSION + offset + 1)
    on(HeadState.VERSION + 9, b"\n", HeadState.LINE)
    on(HeadState.LINE, NAME, HeadState.NAME)
    on(HeadState.LINE, b"\r", HeadState.LAST)
    on(HeadState.NAME, NAME, HeadState.NAME)
    on(HeadState.NAME, b":", HeadState.BLANK)
    on(HeadState.BLANK, text, HeadState.VALUE)
    on(HeadState.BLANK, b" \t", HeadState.BLANK)
    on(HeadState.VALUE, text, HeadState.VALUE)
    on(HeadState.BLANK, b"\r", HeadState.CR)
    on(HeadState.VALUE, b"\r", HeadState.CR)
    on(HeadState.CR, b"\n", HeadState.LINE)
    on(HeadState.LAST, b"\n", HeadState.DONE)
    whose = {HeadState[name]: Attribute[name] for name in ("METHOD", "PATH", "QUERY")}
    kept = (*whose, HeadState.NAME, HeadState.VALUE)
    keep = bytes(state in kept for state in range(STATES))
    attributes = bytes(whose.get(HeadState(state), 0) if state in kept else 0 for state in range(STATES))
    small = bytes(0x20 * (state == HeadState.NAME) for state in range(STATES))
    return bytes(table) + keep + attributes + small
