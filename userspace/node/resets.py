"""Tell both ends of a session that it is gone: a TCP RST each, as the other end would have sent it.

An end believes a RST with exactly the sequence number that it expects next (RFC 9293 section 3.5.3), which is what it
acknowledged last: the datapath keeps that number of each direction. Pure but for `send`.
"""

import logging
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from ctypes import c_uint32

from userspace.node import abi
from userspace.node.ageing import Ended
from userspace.node.maps import Table
from userspace.node.splice_abi import Flag, Splice

log = logging.getLogger("unilb.resets")
VXLAN_PORT = 4789
_RST = 4

# Returns the endpoint record of a VPC's machine by (its address there, VNI, the forward key), or None.
FindHost = Callable[[abi.Addr, int, abi.Flow], abi.Endpoint | None]


def packets(ended: Ended, machine: abi.Machine, host_of: FindHost) -> list[bytes]:
    """Return the IP packets that end a session: to who opened it, and to its target, in its VNI if it has one. A DSR
    VIP's target is down, and what it expects next was never seen: it is sent none."""
    flow = abi.Flow.from_buffer_copy(ended.key)
    forward = abi.Session.from_buffer_copy(ended.forward)
    peer = forward.peer
    to_opener = segment(flow.daddr, flow.dport, flow.saddr, flow.sport, forward.ack)
    if ended.reply is None:
        return [to_opener]
    reply = abi.Session.from_buffer_copy(ended.reply)
    to_target = segment(peer.daddr, peer.dport, peer.saddr, peer.sport, reply.ack)
    if not peer.vni:
        return [to_opener, to_target]
    host = host_of(peer.saddr, peer.vni, flow)
    return [to_opener] if host is None else [to_opener, tunnelled(to_target, host, machine, forward.tunnel_sport)]


def of_splice(splice: Splice, to_client: bool, machine: abi.Machine, host: abi.Endpoint | None) -> list[bytes]:
    """Return the packets that end a splice: to the client if asked to, and to its endpoint; `host`: the record of one
    in a VPC, without which it cannot be reached."""
    up, down = splice.from_
    packets = [segment(up.daddr, up.dport, up.saddr, up.sport, splice.acked[0])] if to_client else []
    to_endpoint = segment(down.daddr, down.dport, down.saddr, down.sport, splice.acked[1])
    return packets + towards_endpoint(splice, [to_endpoint], machine, host)


def towards_endpoint(
    splice: Splice, packets: list[bytes], machine: abi.Machine, host: abi.Endpoint | None
) -> list[bytes]:
    """Return the packets as they leave for a splice's endpoint; none where `host` is not its machine any more."""
    if not splice.flags & Flag.VPC:
        return packets
    there = splice.from_[1]
    if host is None or host.vni != there.vni or bytes(host.addr) != bytes(there.saddr):
        return []
    return [tunnelled(packet, host, machine, splice.tunnel_sport) for packet in packets]


def reset_splice(tables: Mapping[str, Table], splice: Splice, to_client: bool) -> int:
    """Send the resets of a splice that was taken away; return how many packets left."""
    return send(of_splice(splice, to_client, *around(tables, splice)))


def around(tables: Mapping[str, Table], splice: Splice) -> tuple[abi.Machine, abi.Endpoint | None]:
    """Return what leads to a splice's endpoint: this machine's record, and the endpoint's if it is in a VPC."""
    machine = abi.Machine.from_buffer_copy(tables["machine"].get(c_uint32(0)) or bytes(abi.Machine()))
    raw = tables["endpoints"].get(splice.unique_ip) if splice.flags & Flag.VPC else None
    return machine, abi.Endpoint.from_buffer_copy(raw) if raw else None


def segment(
    saddr: abi.Addr,
    sport: int,
    daddr: abi.Addr,
    dport: int,
    seq: int,
    ack: int = 0,
    flags: int = _RST,
    window: int = 0,
    options: bytes = b"",
) -> bytes:
    """Return an IP packet with a TCP segment that carries nothing: a RST of this sequence number, unless told
    otherwise. options: whole words."""
    source, destination = (socket.inet_pton(_family(a), abi.text(a)) for a in (saddr, daddr))
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 20 + len(options) << 2, flags, window, 0, 0) + options
    pseudo = source + destination + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    return ip_packet(source, destination, socket.IPPROTO_TCP, tcp)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of whole 16-bit words."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ip_packet(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source + destination + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0) + source + destination
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tunnelled(packet: bytes, host: abi.Endpoint, machine: abi.Machine, sport: int) -> bytes:
    """Return the packet in a VXLAN packet to its machine's VTEP."""
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    frame = bytes(host.mac) + bytes(machine.inner_mac) + kind + packet
    vxlan = struct.pack("!II", 0x08000000, host.vni << 8) + frame
    udp = struct.pack("!HHHH", sport, VXLAN_PORT, 8 + len(vxlan), 0) + vxlan
    if _family(host.vtep) == socket.AF_INET:
        source, destination = (bytes(a)[12:] for a in (machine.underlay, host.vtep))
        return ip_packet(source, destination, socket.IPPROTO_UDP, udp)
    source, destination = bytes(machine.underlay6), bytes(host.vtep)
    pseudo = source + destination + struct.pack("!HH", socket.IPPROTO_UDP, len(udp))
    summed = checksum(pseudo + udp + b"\0" * (len(udp) % 2)) or 0xFFFF
    return ip_packet(source, destination, socket.IPPROTO_UDP, udp[:6] + struct.pack("!H", summed) + udp[8:])


def send(wire: Iterable[bytes]) -> int:
    """Send ready IP packets, best effort; return how many the kernel took."""
    sent = 0
    raw: dict[int, socket.socket] = {}  # by the packet's version
    with ExitStack() as stack:
        for packet in wire:
            version = packet[0] >> 4
            try:
                if version not in raw:
                    family = socket.AF_INET if version == 4 else socket.AF_INET6
                    raw[version] = stack.enter_context(socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))
                if version == 4:
                    raw[4].sendto(packet, (socket.inet_ntop(socket.AF_INET, packet[16:20]), 0))
                else:
                    raw[version].sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0, 0, 0))
                sent += 1
            except OSError as error:
                log.info("a packet of ours was not sent: %s", error)
    return sent


def reset_ends(tables: Mapping[str, Table], ended: Iterable[Ended]) -> int:
    """Send the resets of sessions that were taken away; return how many packets left."""
    machine = abi.Machine.from_buffer_copy(tables["machine"].get(c_uint32(0)) or bytes(abi.Machine()))

    def host_of(address: abi.Addr, vni: int, flow: abi.Flow) -> abi.Endpoint | None:
        raw = tables["hosts"].get(abi.HostKey(addr=address, vni=vni)) if "hosts" in tables else None
        if raw is None and "endpoints" in tables:
            raw = tables["endpoints"].get(flow.daddr)
        found = abi.Endpoint.from_buffer_copy(raw) if raw else None
        return found if found is not None and found.vni == vni else None

    return send(packet for one in ended for packet in packets(one, machine, host_of))


def _family(address: abi.Addr) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in abi.text(address) else socket.AF_INET
