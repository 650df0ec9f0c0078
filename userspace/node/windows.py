"""What the endpoint of a new splice has to be told: our socket took more than the client does.

Linux takes a smaller window from a segment only if its number is new (tcp_may_update_window in net/ipv4/tcp_input.c):
the next request's is not, it begins where our last acknowledgement stood. So a first answer would be sent into a
window that is not there, be dropped by the client (TcpExtBeyondWindow), and repeated after 200 ms. A window of zero is
always taken, and then any larger one. Pure.
"""

import struct

from userspace.node.resets import segment
from userspace.node.splice_abi import Flag, Kind, Splice
from userspace.node.splice_plan import Asked
from userspace.node.tcp_leg import Leg

_ACK = 16
LEAST_SEGMENTS = 2
"""With room for less a sender waits (RFC 1122 section 4.2.3.4), and nobody might tell it of more."""


def to_announce(client: Leg, endpoint: Leg, asked: Asked) -> tuple[int, ...]:
    """Return the windows to tell the endpoint, in bytes, in order; none where what it was told holds.

    A guarded splice goes on with a request, which opens the window that was closed. In an opaque one the endpoint may
    be the next to speak, so it is told what room the client has behind the tail, or nothing where that is hardly any.
    """
    # A kernel before 6.2 does not say what it told: 0.
    room = client.window - client.unacked - asked.tail
    if 0 < endpoint.receive_window <= room:
        return ()
    if asked.kind is Kind.GUARDED:
        return (0,)
    return (0, room) if room >= LEAST_SEGMENTS * endpoint.mss else ()


def packets(splice: Splice, windows: tuple[int, ...]) -> list[bytes]:
    """Return the acknowledgements that tell it, as our socket would have sent them."""
    down = splice.from_[1]
    clock = struct.pack("!BBBBII", 1, 1, 8, 10, splice.clock_base[0], 0) if splice.flags & Flag.TIMESTAMPS else b""
    return [
        segment(
            *(down.daddr, down.dport, down.saddr, down.sport, splice.acked[1]),
            ack=splice.end[1],
            flags=_ACK,
            window=min(window >> splice.scale_to[0], 0xFFFF),
            options=clock,
        )
        for window in windows
    ]
