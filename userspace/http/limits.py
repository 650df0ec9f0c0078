"""Limits: how much of a message the HTTP/1 codec keeps or believes before it refuses it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Byte and item counts; what happens beyond each stands beside it.

    Precedents: HAProxy 16 KiB and 101 headers, nginx 4 x 8 KiB, Envoy 60 KiB and 100 headers; the bound on chunk
    overhead is that of Go's net/http (16 KiB over what honest chunks need).
    """

    max_head_bytes: int = 16384  # 431: request or status line, field lines and their CRLFs
    max_target_bytes: int = 8192  # 414
    max_headers: int = 100  # 431: field lines
    max_trailer_bytes: int = 8192  # 431: trailer section of a chunked body
    max_chunk_line_bytes: int = 256  # 400: chunk size and extensions of one chunk
    max_chunk_overhead_bytes: int = 16384  # 400: framing bytes of a body beyond 16 + twice the data of each chunk
    max_body_bytes: int = 0  # 413; 0 = any
    max_unread_bytes: int = 262144  # 400: bytes that later feeds may add while a finished message awaits resume()
    max_interim_responses: int = 16  # 502: 1xx heads before the final one

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            least = 0 if name == "max_body_bytes" else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")


DEFAULT_LIMITS = Limits()
