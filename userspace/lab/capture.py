"""What was on the wire at a machine: tcpdump in its namespace, frames read back."""

import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from userspace.lab.apply import LabError
from userspace.lab.exec import command
from userspace.lab.lab import Lab

_PCAP_HEADER = 24
_RECORD = struct.Struct("<IIII")  # seconds, microseconds, captured bytes, original bytes
_ETHERNET, _UDP, _VXLAN = 14, 8, 8
# EtherType -> length of the IP header without options, where its addresses begin, how long each is.
_IP = {b"\x08\x00": (20, 12, 4), b"\x86\xdd": (40, 8, 16)}


@dataclass(frozen=True, slots=True)
class Tunnelled:
    """One VXLAN packet: outer addresses, VNI, inner MACs and addresses."""

    source: str
    destination: str
    vni: int
    inner_source_mac: str
    inner_destination_mac: str
    inner_source: str
    inner_destination: str


@contextmanager
def captured(lab: Lab, place: str, file: Path, expression: str = "udp port 4789") -> Iterator[None]:
    """Capture what matches on a machine's eth0 while the block runs; `file` holds it afterwards, in pcap format."""
    argv = ["tcpdump", "-i", "eth0", "-nn", "--immediate-mode", "-U", "-Z", "root", "-w", str(file), expression]
    tcpdump = subprocess.Popen(command(lab, place, argv), stderr=subprocess.PIPE, text=True)
    assert tcpdump.stderr is not None
    try:
        said = tcpdump.stderr.readline()
        while "listening on" not in said:
            if not said:
                raise LabError(f"tcpdump in {place} ended with {tcpdump.wait()}")
            said = tcpdump.stderr.readline()
        yield
    finally:
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.wait()
        tcpdump.stderr.close()


def frames(file: Path) -> Iterator[bytes]:
    """Yield the captured bytes of each frame."""
    raw = file.read_bytes()
    at = _PCAP_HEADER
    while at + _RECORD.size <= len(raw):
        size = _RECORD.unpack_from(raw, at)[2]
        yield raw[at + _RECORD.size : at + _RECORD.size + size]
        at += _RECORD.size + size


def tunnelled(frame: bytes) -> Tunnelled | None:
    """Return what a VXLAN frame carries; None when it carries no IP."""
    outer = _IP.get(frame[12:14])
    if outer is None:
        return None
    vxlan = _ETHERNET + outer[0] + _UDP
    inner = frame[vxlan + _VXLAN :]
    if inner[12:14] not in _IP or len(inner) < _ETHERNET + _IP[inner[12:14]][0]:
        return None
    source, destination = _ends(frame)
    inner_source, inner_destination = _ends(inner)
    return Tunnelled(
        source=source,
        destination=destination,
        vni=int.from_bytes(frame[vxlan + 4 : vxlan + 7], "big"),
        inner_destination_mac=inner[:6].hex(":"),
        inner_source_mac=inner[6:12].hex(":"),
        inner_source=inner_source,
        inner_destination=inner_destination,
    )


def _ends(frame: bytes) -> tuple[str, str]:
    """Return source and destination of the IP packet in a frame."""
    _, at, size = _IP[frame[12:14]]
    addresses = frame[_ETHERNET + at :]
    return str(ip_address(addresses[:size])), str(ip_address(addresses[size : 2 * size]))
