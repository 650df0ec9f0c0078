"""The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt), sans-io.

A proxy says in front of a connection's first byte whose connection it really is. Only TCP over IPv4 and IPv6 says
something that we use; everything else that the protocol has is read and leaves the connection as it is.
"""

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

MAX_BYTES: Final = 4096  # of a version 2 header with its TLVs; 107 of version 1 is the protocol's own

_V1_START: Final = b"PROXY "
_V1_MOST: Final = 107
_V1: Final = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})")
_V1_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: [ -~]*)?")
_V2_START: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESSES: Final = {0x11: (4, IPv4Address), 0x21: (16, IPv6Address)}  # STREAM over IPv4, IPv6
_WITHOUT: Final = frozenset((0x00, 0x31))  # unspecified, UNIX STREAM: nothing to learn
_CRC32C: Final = 0x03  # type of the TLV that holds a checksum of the whole header
_CASTAGNOLI: Final = 0x82F63B78


class ProxyHeaderError(Exception):
    """What came is no PROXY header; `str(error)` says why. The connection must be closed."""


class Ends(NamedTuple):
    """Both ends of the connection that a header speaks of."""

    source: str
    source_port: int
    destination: str
    destination_port: int


class HeaderReader:
    """Reads one header, of either version. `feed` until `is_done`; `ends` is None where the header names none."""

    __slots__ = ("_held", "ends", "is_done")

    def __init__(self) -> None:
        self._held = b""
        self.is_done = False
        self.ends: Ends | None = None

    def feed(self, data: bytes) -> bytes:
        """Take some bytes; return what stands behind the header, b"" while it is not complete.

        Raises ProxyHeaderError as soon as it can be told.
        """
        held = self._held + data
        size = _size_v1(held) if held[:1] == b"P" else _size_v2(held)
        if size == 0:
            self._held = held
            return b""
        self.is_done = True
        self._held = b""
        header, rest = held[:size], held[size:]
        self.ends = _read_v1(header[:-2]) if header[:1] == b"P" else _read_v2(header)
        return rest


def header(version: int, ends: Ends | None) -> bytes:
    """Return the header to send; without `ends` one that says that the connection is the sender's own."""
    if version == 1:
        if ends is None:
            return b"PROXY UNKNOWN\r\n"
        source, destination = _same_family(ends)
        family = "TCP4" if source.version == 4 else "TCP6"
        line = f"PROXY {family} {source} {destination} {ends.source_port} {ends.destination_port}\r\n"
        return line.encode("ascii")
    if ends is None:
        return _V2_START + struct.pack("!BBH", _LOCAL, 0, 0)
    source, destination = _same_family(ends)
    ports = struct.pack("!HH", ends.source_port, ends.destination_port)
    body = source.packed + destination.packed + ports
    return _V2_START + struct.pack("!BBH", _PROXY, 0x11 if source.version == 4 else 0x21, len(body)) + body


def _same_family(ends: Ends) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    """Both addresses; where only one is IPv6, the other as IPv6 maps it."""
    source, destination = ip_address(ends.source), ip_address(ends.destination)
    if source.version == destination.version:
        return source, destination
    return _mapped(source), _mapped(destination)


def _mapped(address: IPv4Address | IPv6Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _size_v1(held: bytes) -> int:
    if held[: len(_V1_START)] != _V1_START[: len(held)]:
        raise ProxyHeaderError("neither version 1 nor version 2")
    end = held.find(b"\r\n", 0, _V1_MOST) + 2
    if end == 1:
        if len(held) >= _V1_MOST or b"\n" in held:
            raise ProxyHeaderError("version 1 line without an end")
        return 0
    return end


def _read_v1(line: bytes) -> Ends | None:
    matched = _V1.fullmatch(line)
    if matched is None:
        if _V1_UNKNOWN.fullmatch(line) is None:
            raise ProxyHeaderError("bad version 1 line")
        return None
    family, source, destination, *ports = (part.decode("ascii") for part in matched.groups())
    kind = IPv4Address if family == "TCP4" else IPv6Address
    try:
        ends = Ends(str(kind(source)), int(ports[0]), str(kind(destination)), int(ports[1]))
    except ValueError:
        raise ProxyHeaderError("bad address in version 1 line") from None
    if ends.source_port > 65535 or ends.destination_port > 65535:
        raise ProxyHeaderError("bad port in version 1 line")
    return ends


def _size_v2(held: bytes) -> int:
    if held[: len(_V2_START)] != _V2_START[: len(held)]:
        raise ProxyHeaderError("neither version 1 nor version 2")
    if len(held) < _V2_FIXED:
        return 0
    size = _V2_FIXED + int.from_bytes(held[14:16], "big")
    if size > MAX_BYTES:
        raise ProxyHeaderError(f"version 2 header of more than {MAX_BYTES} bytes")
    return size if len(held) >= size else 0


def _read_v2(header: bytes) -> Ends | None:
    command, family = header[12], header[13]
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("version 2 command is neither LOCAL nor PROXY")
    length, kind = _ADDRESSES.get(family, (0, None))
    start = _V2_FIXED + 2 * length + 4 if kind is not None else _V2_FIXED + (216 if family == 0x31 else 0)
    if command == _LOCAL:
        return None  # a receiver must take it whatever the family says
    if kind is None and family not in _WITHOUT:
        raise ProxyHeaderError("version 2 protocol is not TCP")
    if start > len(header):
        raise ProxyHeaderError("version 2 header is too short for its addresses")
    if family != 0x00:
        _check_tlvs(header, start)
    if kind is None:
        return None
    middle = _V2_FIXED + length
    source, destination = kind(header[_V2_FIXED:middle]), kind(header[middle : middle + length])
    ports = struct.unpack_from("!HH", header, middle + length)
    return Ends(str(source), ports[0], str(destination), ports[1])


def _check_tlvs(header: bytes, position: int) -> None:
    while position < len(header):
        end = position + 3 + int.from_bytes(header[position + 1 : position + 3], "big")
        if position + 3 > len(header) or end > len(header):
            raise ProxyHeaderError("version 2 TLV beyond the end of the header")
        if header[position] == _CRC32C:
            value = header[position + 3 : end]
            zeroed = header[: position + 3] + bytes(len(value)) + header[end:]
            if len(value) != 4 or int.from_bytes(value, "big") != crc32c(zeroed):
                raise ProxyHeaderError("version 2 checksum is wrong")
        position = end


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum; bit by bit, for a header has few bytes and seldom this TLV."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
