"""A splice as the node that made it knows it, beside what the kernel has."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from userspace.node import tcp_leg
from userspace.node.splice_abi import Kind
from userspace.node.splice_accounts import NOBODY, Owner


@dataclass(slots=True)
class Held:
    """client: the socket that repeats the tail until the client has it; None afterwards. endpoint: the lease of a
    classic endpoint's leg. worker: who asked. note: what it wants to hear when the connection comes back. address: the
    client's, as a TOA told it."""

    id: int
    generation: int
    kind: Kind
    account: int = 0
    owner: Owner = NOBODY
    worker: str = ""
    note: Any = None
    address: tuple[str, int] | None = None
    client: socket.socket | None = None
    endpoint: socket.socket | None = None
    tail_end: int = 0

    def forget_client(self) -> None:
        """The client has the tail: its socket goes without a packet."""
        sock, self.client = self.client, None
        if sock is not None:
            with suppress(OSError):
                tcp_leg.vanish(sock)

    def reset_client(self) -> None:
        """The client does not have all of the tail: only its socket knows the number that it expects."""
        sock, self.client = self.client, None
        if sock is not None:
            with suppress(OSError):
                tcp_leg.abort(sock)

    def release(self) -> None:
        """Let go of the sockets, in silence."""
        self.forget_client()
        sock, self.endpoint = self.endpoint, None
        if sock is not None:
            with suppress(OSError):
                tcp_leg.vanish(sock)
