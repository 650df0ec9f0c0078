"""Two TCP ends through the FNAT over a network that loses, repeats and reorders: both streams arrive whole.

The ends are as simple as TCP can be: they send what was not acknowledged again until everything is. Each segment runs
through the real program; what comes out is checked as a host would: addresses, ports, both checksums.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from tests.bpf.l4_rows import CLIENT, GATEWAY, LADDR, PUBLISHED, VIP
from tests.packets import TC_ACT_REDIRECT, arrives, clear, run, tcp
from userspace.node.datapath import Datapath
from userspace.node.resets import checksum

pytestmark = pytest.mark.bpf
CLIENT_PLACE, VIP_PLACE = (CLIENT, 4210), (VIP, 80)
LADDR_PLACE, GATEWAY_PLACE = (LADDR, 5000), (GATEWAY, 80)


@dataclass
class End:
    """One end: what it sends, what it has received. Sequence numbers wrap within the first bytes."""

    here: tuple[str, int]
    there: tuple[str, int]
    outgoing: bytes
    isn: int
    peer_isn: int
    acknowledged: int = 0
    received: bytes = b""
    early: dict[int, bytes] = field(default_factory=dict)

    def segment(self, at: int, size: int) -> bytes:
        """Return the frame with outgoing[at : at + size], acknowledging what has been received."""
        seq = (self.isn + 1 + at) % 2**32
        ack = (self.peer_isn + 1 + len(self.received)) % 2**32
        packet = tcp(*self.here, *self.there, "A", seq=seq, ack=ack) / Raw(self.outgoing[at : at + size])
        return bytes(arrives(packet))

    def take(self, frame: bytes) -> None:
        """Receive a frame that the datapath sent on; it has to be for us, from whom we talk to, and undamaged."""
        packet = IP(frame[14:])
        assert (packet.dst, packet.dport, packet.src, packet.sport) == (*self.here, *self.there)
        raw = frame[14:]
        pseudo = raw[12:20] + bytes((0, 6)) + (len(raw) - 20).to_bytes(2, "big")
        body = pseudo + raw[20:]
        assert checksum(raw[:20]) == 0 and checksum(body + b"\0" * (len(body) % 2)) == 0
        assert "R" not in str(packet[TCP].flags)
        self.acknowledged = max(self.acknowledged, (packet[TCP].ack - self.isn - 1) % 2**32)
        at = (packet[TCP].seq - self.peer_isn - 1) % 2**32
        self.early[at] = max(self.early.get(at, b""), raw[20 + packet[TCP].dataofs * 4 :], key=len)
        for start in sorted(self.early):
            if start <= len(self.received) < start + len(self.early[start]):
                self.received += self.early[start][len(self.received) - start :]


def ends(upload: bytes, download: bytes) -> tuple[End, End]:
    client = End(CLIENT_PLACE, VIP_PLACE, upload, 2**32 - 20, 2**32 - 5)
    return client, End(GATEWAY_PLACE, LADDR_PLACE, download, client.peer_isn, client.isn)


SIZES = st.integers(1, 1400)
FATES = st.lists(st.sampled_from(("deliver", "deliver", "lose", "repeat", "delay")), max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(up=st.binary(max_size=4000), down=st.binary(max_size=4000), sizes=st.lists(SIZES, min_size=1), fates=FATES)
def test_both_streams_arrive_whole(
    l4: Datapath, ifindex: int, up: bytes, down: bytes, sizes: list[int], fates: list[str]
) -> None:
    clear(l4.tables)
    for entry in PUBLISHED:
        entry.put(l4.tables)

    def sent_on(frame: bytes) -> bytes:
        ran = run(l4.programs["l4_ingress"], frame, ifindex)
        assert ran.verdict == TC_ACT_REDIRECT
        return ran.packet

    client, gateway = ends(up, down)
    sent_on(bytes(arrives(tcp(*CLIENT_PLACE, *VIP_PLACE, "S", seq=client.isn))))
    sent_on(bytes(arrives(tcp(*GATEWAY_PLACE, *LADDR_PLACE, "SA", seq=gateway.isn, ack=client.isn + 1))))
    ahead = iter(fates)
    delayed: list[tuple[End, bytes]] = []
    turn = 0
    while client.received != down or gateway.received != up or client.acknowledged < len(up):
        turn += 1
        assert turn < 2000, "the network loses at most 40 segments"
        for sender, receiver in ((client, gateway), (gateway, client)):
            frame = sender.segment(sender.acknowledged, sizes[turn % len(sizes)])
            fate = next(ahead, "deliver")
            if fate == "lose":
                continue
            if fate == "delay":
                delayed.append((receiver, frame))
                continue
            for _ in range(2 if fate == "repeat" else 1):
                receiver.take(sent_on(frame))
            if delayed and turn % 3 == 0:
                late, old = delayed.pop()
                late.take(sent_on(old))
