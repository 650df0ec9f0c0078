"""What was on the wire at a machine: tcpdump in its namespace, frames read back."""

import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from userspace.lab.apply import LabError
from userspace.lab.exec import command
from userspace.lab.lab import Lab

_PCAP_HEADER = 24
_RECORD = struct.Struct("<IIII")  # seconds, microseconds, captured bytes, original bytes
_OUTER = 14 + 20 + 8  # Ethernet, IPv4 without options, UDP
_VXLAN = 8


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
    """Return what a VXLAN frame over IPv4 carries; None when it carries no IPv4."""
    inner = _OUTER + _VXLAN
    if len(frame) < inner + 34 or frame[inner + 12 : inner + 14] != b"\x08\x00":
        return None
    return Tunnelled(
        source=str(IPv4Address(frame[26:30])),
        destination=str(IPv4Address(frame[30:34])),
        vni=int.from_bytes(frame[_OUTER + 4 : _OUTER + 7], "big"),
        inner_destination_mac=frame[inner : inner + 6].hex(":"),
        inner_source_mac=frame[inner + 6 : inner + 12].hex(":"),
        inner_source=str(IPv4Address(frame[inner + 26 : inner + 30])),
        inner_destination=str(IPv4Address(frame[inner + 30 : inner + 34])),
    )
