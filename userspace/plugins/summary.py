"""Summary: what became of an exchange, for the log phase."""

from dataclasses import dataclass


@dataclass(slots=True)
class Summary:
    """Times in ms, `started` in seconds since the epoch; bytes of the client's side with heads and framing."""

    status: int
    started: float
    request_ms: float
    upstream_ms: float
    bytes_in: int
    bytes_out: int
    upstream_address: str | None
    upstream_status: int | None
    error: str | None
    is_ours: bool  # no endpoint gave the answer
    head_bytes: int = 0  # of bytes_out: the head of the final answer
