"""PROXY headers, whole and split at every byte, and what is none."""

import struct

import pytest

from userspace.http.proxy_protocol import MAX_BYTES, Ends, HeaderReader, ProxyHeaderError, crc32c, header

V4 = Ends("203.0.113.9", 56324, "192.0.2.1", 443)
V6 = Ends("2001:db8::9", 1, "2001:db8::1", 65535)
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR = bytes([203, 0, 113, 9, 192, 0, 2, 1]) + struct.pack("!HH", 56324, 443)


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def with_checksum(wrong: int = 0) -> bytes:
    zeroed = v2(0x21, 0x11, FOUR + tlv(0x01, b"h2") + tlv(0x03, bytes(4)))
    return zeroed[:-4] + struct.pack("!I", crc32c(zeroed) ^ wrong)


GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n", V4),
    (b"PROXY TCP6 2001:db8::9 2001:DB8::1 1 65535\r\n", V6),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Ends(*("255.255.255.255", 65535) * 2)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (v2(0x21, 0x11, FOUR), V4),
    (v2(0x21, 0x11, FOUR + tlv(0x02, b"a.example") + tlv(0xEE, b"")), V4),
    (v2(0x21, 0x21, bytes.fromhex("20010db8" + "0" * 23 + "9" + "20010db8" + "0" * 23 + "1") + b"\0\1\xff\xff"), V6),
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, FOUR), None),
    (v2(0x20, 0x11, b""), None),
    (v2(0x21, 0x00, b"anything"), None),
    (v2(0x21, 0x31, bytes(216)), None),
    (with_checksum(), V4),
]


@pytest.mark.parametrize(("data", "ends"), GOOD)
def test_a_header_is_the_same_wherever_it_is_cut_and_what_follows_is_left(data: bytes, ends: Ends | None) -> None:
    for cut in range(len(data) + 1):
        reader = HeaderReader()
        rest = (
            reader.feed(data[:cut]) + reader.feed(data[cut:] + b"GET")
            if cut < len(data)
            else reader.feed(data + b"GET")
        )
        assert (rest, reader.is_done, reader.ends) == (b"GET", True, ends)
    reader = HeaderReader()
    for index in range(len(data)):
        assert not reader.is_done
        assert reader.feed(data[index : index + 1]) == b""
    assert reader.is_done and reader.ends == ends


BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4",
    b"PROXYTCP4",
    b"PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
    b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
    b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 ::1 ::2 1 2\r\n",
    b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN \x00\r\n",
    b"PROXY " + b"U" * 120,
    SIGNATURE[:-1] + b"\r",
    v2(0x22, 0x11, FOUR),
    v2(0x11, 0x11, FOUR),
    v2(0x21, 0x12, FOUR),
    v2(0x21, 0x41, FOUR),
    v2(0x21, 0x11, FOUR[:-1]),
    v2(0x21, 0x31, bytes(215)),
    v2(0x21, 0x11, FOUR + b"\x01\x00"),
    v2(0x21, 0x11, FOUR + b"\x01\x00\x05abc"),
    v2(0x21, 0x11, FOUR + tlv(0x03, b"abc")),
    with_checksum(wrong=1),
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, MAX_BYTES),
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused_wherever_it_is_cut(data: bytes) -> None:
    for pieces in ([data], [data[index : index + 1] for index in range(len(data))]):
        reader = HeaderReader()
        with pytest.raises(ProxyHeaderError):
            for piece in pieces:
                reader.feed(piece)
        assert not reader.is_done or reader.ends is None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ends", [V4, V6, None])
def test_what_is_written_reads_as_the_same(version: int, ends: Ends | None) -> None:
    reader = HeaderReader()
    assert reader.feed(header(version, ends) + b"x") == b"x"
    assert reader.ends == ends


@pytest.mark.parametrize("version", [1, 2])
def test_ends_of_two_families_are_told_as_ipv6(version: int) -> None:
    reader = HeaderReader()
    reader.feed(header(version, Ends("203.0.113.9", 1, "2001:db8::1", 2)))
    assert reader.ends == Ends("::ffff:cb00:7109", 1, "2001:db8::1", 2)


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
