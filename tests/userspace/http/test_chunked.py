import gc
import weakref

import pytest

from tests.userspace.http.conversations import bytewise
from userspace.http.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk, encode_end
from userspace.http.events import ProtocolError
from userspace.http.limits import DEFAULT_LIMITS, Limits

BODY = b"5\r\nhello\r\n1;a=b\r\n \r\n0005\r\nworld\r\n0\r\nA: b \r\n\r\n"


def decode(pieces: list[bytes], limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, ChunkedDecoder, bytes]:
    decoder = ChunkedDecoder(limits, 400)
    decoded, rest = b"", b""
    for piece in pieces:
        if decoder.done:
            rest += piece
        else:
            data, end = decoder.feed(piece)
            decoded += data
            rest += piece[end:] if decoder.done else b""
    return decoded, decoder, rest


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_body_decodes_the_same_in_pieces_of_any_size(size: int) -> None:
    data = BODY + b"NEXT"
    decoded, decoder, rest = decode([data[at : at + size] for at in range(0, len(data), size)])
    assert (decoded, decoder.trailers, decoder.done, rest) == (b"hello world", [(b"A", b"b")], True, b"NEXT")


def test_it_begins_where_it_is_told_to() -> None:
    decoder = ChunkedDecoder(DEFAULT_LIMITS, 400)
    assert decoder.feed(b"HEAD" + BODY[:6], 4) == (b"hel", 10)
    assert decoder.feed(b"xx" + BODY[6:] + b"NEXT", 2) == (b"lo world", 2 + len(BODY) - 6)


def test_refusals_carry_the_status_of_their_side() -> None:
    for status in (400, 502):
        with pytest.raises(ProtocolError) as refused:
            ChunkedDecoder(DEFAULT_LIMITS, status).feed(b"x\r\n")
        assert refused.value.status == status
    with pytest.raises(ProtocolError, match="502: body is too large"):
        ChunkedDecoder(Limits(max_body_bytes=4), 502).feed(BODY)


def test_honest_small_chunks_are_not_taken_for_an_attack() -> None:
    decoded, decoder, _ = decode([b"1\r\nx\r\n" * 50_000 + LAST_CHUNK])
    assert (len(decoded), decoder.done) == (50_000, True)


def test_framing_beyond_reason_is_refused_however_it_is_spread() -> None:
    with pytest.raises(ProtocolError, match="too much chunk framing"):
        decode([b"1;" + b"x" * 100 + b"\r\nx\r\n"] * 500)


def test_what_is_encoded_decodes() -> None:
    pieces = [*encode_chunk(b"hello"), *encode_chunk(b"x" * 1000), encode_end([(b"A", b"b")])]
    decoded, decoder, _ = decode([b"".join(pieces)])
    assert (decoded, decoder.trailers) == (b"hello" + b"x" * 1000, [(b"A", b"b")])
    assert encode_end() == LAST_CHUNK == b"0\r\n\r\n"
    assert decode(bytewise(LAST_CHUNK))[1].done


def test_a_decoder_goes_with_its_last_reference() -> None:
    class Watched(ChunkedDecoder):
        __slots__ = ("__weakref__",)

    gc.disable()
    try:
        decoder = Watched(DEFAULT_LIMITS, 400)
        decoder.feed(BODY)
        gone = weakref.ref(decoder)
        del decoder
        assert gone() is None
    finally:
        gc.enable()
