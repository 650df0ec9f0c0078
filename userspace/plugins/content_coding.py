"""Content codings (RFC 9110 section 8.4.1) of bodies that are to be read: decoded as they come, within a limit."""

import zlib
from collections.abc import Callable
from typing import Any, Final

Decode = Callable[[bytes, bool], bytes]
"""Some of a coded body, and whether it is the last of it -> what it says. Raises BadCoding."""


class BadCoding(ValueError):
    """The body is not what its Content-Encoding says, or says more than the limit."""


def decoder(coding: bytes | None) -> Callable[[int], Decode] | None:
    """Return what makes a decoder for one body, given how many bytes it may say; None for a coding nobody knows."""
    return _DECODERS.get((coding or b"identity").strip().lower())


def _identity(most: int) -> Decode:
    return lambda data, is_last: data


def _zlib(window: int) -> Callable[[int], Decode]:
    def make(most: int) -> Decode:
        inflate, left = zlib.decompressobj(window), most

        def decode(data: bytes, is_last: bool) -> bytes:
            nonlocal left
            try:
                out = inflate.decompress(data, left + 1) if data else b""
            except zlib.error as error:
                raise BadCoding(str(error)) from None
            left -= len(out)
            if left < 0:
                raise BadCoding(f"more than {most} bytes")
            if is_last and not inflate.eof:
                raise BadCoding("it ends in the middle")
            return out

        return decode

    return make


def _brotli(most: int) -> Decode:
    import brotli  # not at the top: few workers see any

    inflate: Any = brotli.Decompressor()
    left = most

    def decode(data: bytes, is_last: bool) -> bytes:
        nonlocal left
        try:
            out: bytes = inflate.process(data, output_buffer_limit=left + 1) if data else b""
        except brotli.error as error:
            raise BadCoding(str(error)) from None
        left -= len(out)
        if left < 0 or not inflate.can_accept_more_data():
            raise BadCoding(f"more than {most} bytes")
        if is_last and not inflate.is_finished():
            raise BadCoding("it ends in the middle")
        return out

    return decode


_DECODERS: Final[dict[bytes, Callable[[int], Decode]]] = {
    b"identity": _identity,
    b"gzip": _zlib(31),
    b"x-gzip": _zlib(31),
    b"deflate": _zlib(15),
    b"br": _brotli,
}
