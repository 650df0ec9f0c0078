"""Summary: what became of an exchange, for the log phase."""

from dataclasses import dataclass
from typing import NamedTuple


class Try(NamedTuple):
    """What became of a request at one endpoint: its answer's status, or the one that its failure would have become for
    the client (502, 504); None when the client left meanwhile. Connecting counts in `ms` for tries that failed.

    `connect_ms`: 0 on a kept connection, None when none came about. `header_ms`: from sending to the final head of the
    answer, None without one."""

    address: str
    status: int | None
    ms: float
    connect_ms: float | None = None
    header_ms: float | None = None


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
    connect_ms: float | None = None  # of the last try, as header_ms
    header_ms: float | None = None
    tries: tuple[Try, ...] = ()  # all of them; () when there was none but the last

    @property
    def all_tries(self) -> tuple[Try, ...]:
        """In order; none when no endpoint was asked."""
        if self.tries or self.upstream_address is None:
            return self.tries
        at, status = self.upstream_address, self.upstream_status
        return (Try(at, status, self.upstream_ms, self.connect_ms, self.header_ms),)
