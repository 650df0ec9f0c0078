import gzip
import zlib

import brotli
import pytest

from userspace.plugins.content_coding import BadCoding, decoder

BODY = b"hello world " * 50


def decoded(coding: bytes | None, data: bytes, most: int = 1000, step: int = 7) -> bytes:
    make = decoder(coding)
    assert make is not None
    decode = make(most)
    out = b"".join(decode(data[at : at + step], False) for at in range(0, len(data), step))
    return out + decode(b"", True)


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (None, BODY), (b"identity", BODY), (b"gzip", gzip.compress(BODY)), (b" X-GZIP", gzip.compress(BODY)),
        (b"deflate", zlib.compress(BODY)), (b"br", brotli.compress(BODY)),
    ],
)  # fmt: skip
def test_a_coded_body_is_read_however_it_is_split(coding: bytes | None, data: bytes) -> None:
    assert decoded(coding, data) == decoded(coding, data, step=1) == BODY


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (coding, data)
        for coding, compress in ((b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"br", brotli.compress))
        for data in (b"not coded at all", compress(BODY)[:-5])
    ],
)
def test_what_is_broken_or_cut_is_refused(coding: bytes, data: bytes) -> None:
    with pytest.raises(BadCoding):
        decoded(coding, data)


def test_what_says_more_than_the_limit_is_refused() -> None:
    for coding, data in ((b"gzip", gzip.compress(bytes(1 << 20))), (b"br", brotli.compress(bytes(1 << 20)))):
        with pytest.raises(BadCoding, match="more than 1000"):
            decoded(coding, data, step=len(data))


def test_other_codings_nobody_reads() -> None:
    assert decoder(b"zstd") is None and decoder(b"gzip, br") is None
