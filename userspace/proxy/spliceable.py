"""What a connection of a client knows of the node that may carry it."""

from typing import TYPE_CHECKING

from userspace.proxy.accepted import Accepted

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared


class Spliceable(Accepted):
    """`splice_at`: which of its requests to ask the node at, 0 for none; `backs`: how often it came back from there."""

    __slots__ = ("backs", "is_handed_over", "splice_at")

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self.backs = 0
        self.is_handed_over = False  # the node carries it
        self.splice_at = shared.settings.splice_after

    @property
    def facts(self) -> dict[str, object]:
        """What is to be known of the connection again when it comes back."""
        peer = self.peer
        return {"peer": [peer.address, peer.port, peer.server_address, peer.server_port], "backs": self.backs}

    def hand_over(self) -> None:
        """The node has it from here on: when all is written, let go of it without a word to the client."""
        self.is_lingering = self.is_handed_over = True
        if self.transport is not None:
            self.shared.wheel.set(self, self.shared.send_ticks)
            self.transport.close()
