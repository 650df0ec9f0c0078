"""Images: instructions that name maps by place; what is loaded of one."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from userspace.node import bpf, bpf_load, image
from userspace.node.bpf_load import MapSpec
from userspace.node.image import Image, Unreadable, Wanted

XDP, ARRAY = 6, 2


def instruction(code: int, registers: int = 0, immediate: int = 0, offset: int = 0) -> bytes:
    return struct.pack("=BBhi", code, registers, offset, immediate)


def takes_map(place: int) -> bytes:
    """r1 = map; r2 = fp - 4; *r2 = 0; r0 = 0"""
    return instruction(0x18, 0x11, place) + instruction(0)


LOOKUP = b"".join(
    (
        instruction(0x62, 10, 0, -4),  # *(u32 *)(fp - 4) = 0
        takes_map(1),
        instruction(0xBF, 0xA2),  # r2 = fp
        instruction(0x07, 2, -4),  # r2 += -4
        instruction(0x85, 0, 1),  # r0 = bpf_map_lookup_elem(r1, r2)
        instruction(0x55, 0, 2, 2),  # if r0 != 2 goto the third; the immediate is no map
        instruction(0xB7, 0, 0),
        instruction(0x95),
        instruction(0xB7, 0, 2),
        instruction(0x95),
    )
)
NUMBER = instruction(0x18, 0x01, 1) + instruction(0) + instruction(0x95)  # r0 = 1ULL: of two instructions, but no map
MAPS = {"private": MapSpec(ARRAY, 4, 8, 1, 0), "shared": MapSpec(ARRAY, 4, 8, 1, 0)}


def test_only_what_takes_a_map_is_changed() -> None:
    changed = image.with_maps(LOOKUP + NUMBER, {1: 77})
    assert changed == LOOKUP.replace(takes_map(1), takes_map(77)) + NUMBER
    assert image.with_maps(changed, {77: 1}) == LOOKUP + NUMBER


def test_a_second_half_is_not_read_as_an_instruction() -> None:
    pair = instruction(0x18, 0x01, 5) + instruction(0x18, 0x11, 1)  # a 64-bit number that looks like taking a map
    assert image.with_maps(pair, {}) == pair


def test_what_is_written_is_read() -> None:
    written = Image(b"\x9f\xeb", MAPS, {"lookup": LOOKUP})
    assert Image.from_json(written.to_json()) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "btf": "", "maps": {}, "programs": {"a": "*"}}',
        '{"format": 1, "btf": "", "maps": {"a": [1, 2]}, "programs": {}}',
    ],
)
def test_what_is_no_image_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Unreadable):
        Image.from_json(text)


# BTF with one type, `u32`: header, type (BTF_KIND_INT of 4 bytes, 32 bits), strings.
TYPES = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 16, 16, 5) + struct.pack("<IIII", 1, 1 << 24, 4, 32) + b"\0u32\0"


@pytest.fixture
def pins(bpffs: Path) -> Iterator[Path]:
    folder = bpffs / "image"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.bpf
def test_shared_maps_are_pinned_and_adopted_the_others_are_not(pins: Path) -> None:
    made = Image(TYPES, MAPS, {"lookup": LOOKUP})
    wanted = [Wanted("lookup", XDP)]
    before = set(os.listdir("/proc/self/fd"))
    first = image.load(made, wanted, pins, {"shared"}, {"shared": 3, "private": 5})["lookup"]
    assert [path.name for path in pins.iterdir()] == ["shared"]
    shared = bpf.get_pinned(pins / "shared")
    assert bpf.map_shape(shared).max_entries == 3
    second = image.load(made, wanted, pins, {"shared"}, {"shared": 3})["lookup"]
    maps = [bpf.map_of_program(program, ARRAY) for program in (first, second)]
    assert [bpf.map_shape(fd).id for fd in maps if fd is not None] == [bpf.map_shape(shared).id] * 2
    assert bpf.test_run(first, bytes(64)).verdict == 2
    for fd in (first, second, shared, *(fd for fd in maps if fd is not None)):
        os.close(fd)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.bpf
def test_what_the_verifier_refuses_leaves_no_descriptor(pins: Path) -> None:
    made = Image(TYPES, MAPS, {"good": NUMBER, "bad": instruction(0x95)})
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="R0 !read_ok"):
        image.load(made, [Wanted("good", XDP), Wanted("bad", XDP)], pins, (), {})
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.bpf
def test_a_map_is_made_as_it_was() -> None:
    fd = bpf_load.map_create("a_name_of_more_than_15", MapSpec(ARRAY, 4, 8, 7, 0), 0)
    assert bpf_load.map_spec(fd) == (MapSpec(ARRAY, 4, 8, 7, 0), 0)
    os.close(fd)
