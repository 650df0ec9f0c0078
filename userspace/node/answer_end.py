"""Has a spliced request been answered to its end? Read, purely, from what the kernel keeps of the answer.

Nobody follows responses that the kernel carries: it would cost each of them what the few have to pay that come back.
So the kernel keeps how the last one begins (`answers`), and its last bytes; a client that asks on in the middle of it,
having acknowledged all that there is so far, is told from one that has it all (RFC 9112 section 6.3).
"""

import re

from userspace.node.splice_abi import Flag, Splice

QUIET_NS = 2_000_000_000
"""A response whose end cannot be told is over when its endpoint has been silent for so long."""

_U32 = 0xFFFFFFFF
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_BODILESS = (b"204", b"304")
_LAST_CHUNK = b"0\r\n\r\n"


def is_whole(splice: Splice, said: bytes, now_ns: int) -> bool:
    """Return whether nothing of the last answer is still to come. said: how it begins. now_ns: CLOCK_MONOTONIC.

    Where the head was not kept whole (longer than ANSWER_BYTES, or overtaken by what follows), silence has to tell.
    """
    if not splice.requests:
        return True
    is_quiet = bool(now_ns - splice.answered_ns > QUIET_NS)
    if splice.mixed:  # requests were carried behind one another: which answer that is cannot be told
        return is_quiet
    came = splice.end[1] - splice.answer & _U32
    head, blank, _ = said.partition(b"\r\n\r\n")
    status = _STATUS.match(said)
    if not blank or status is None:
        return is_quiet and len(said) != came  # or else all of it was kept, and it is no head yet
    begun = len(head) + len(blank)
    if splice.asked_head or status[1] in _BODILESS:
        return True
    if _CODING.search(head):
        return _ends(splice, said, begun) or is_quiet
    length = _LENGTH.search(head + b"\r\n")
    if length is None:  # it ends with the connection
        return False
    whole = begun + int(length[1])
    # Beyond 4 GiB the numbers come round; bytes are counted on, those that were repeated too.
    return bool(splice.bytes[1] - splice.bytes_before >= whole and (came - whole & _U32) < 1 << 31)


def _ends(splice: Splice, said: bytes, begun: int) -> bool:
    """Return whether the last bytes of a chunked response are those of its last chunk, without trailers."""
    came = splice.end[1] - splice.answer - bool(splice.flags & Flag.FIN_DOWN) & _U32
    if came == len(said):
        return said.endswith(b"\r\n" + _LAST_CHUNK) and begun <= came - len(_LAST_CHUNK)
    last = bytes(splice.last)
    # Zeros: the bytes before were in another segment, which was not kept.
    return last.endswith(_LAST_CHUNK) and last[1:3] in (b"\r\n", bytes(2))
