"""An image: one BPF source compiled, and all that the kernel has to be told to run it; BCC is not needed for that.

The same image serves every node and every size of maps: an instruction that takes a map has the map's place in
`Image.maps` instead of a file descriptor, and how many entries a map gets is said when it is made.
"""

import json
import os
import struct
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from userspace.node import bpf, bpf_load
from userspace.node.bpf_load import MapSpec

FORMAT = 1
_INSTRUCTION = struct.Struct("=BBhi")  # struct bpf_insn: code, registers, offset, immediate
_LD_IMM64, _PSEUDO_MAP_FD = 0x18, 1  # of two instructions; the source register says what the immediate is


class Unreadable(Exception):
    """What is stored as an image is none of this version's."""


@dataclass(frozen=True, slots=True)
class Image:
    """btf: as the kernel loads it. maps: by name, in the order that instructions count them. programs: instructions by
    function."""

    btf: bytes
    maps: dict[str, MapSpec]
    programs: dict[str, bytes]

    def to_json(self) -> str:
        programs = {name: b64encode(code).decode() for name, code in self.programs.items()}
        specs = {name: astuple(spec) for name, spec in self.maps.items()}
        return json.dumps({"format": FORMAT, "btf": b64encode(self.btf).decode(), "maps": specs, "programs": programs})

    @classmethod
    def from_json(cls, text: str) -> "Image":
        """Raises Unreadable."""
        try:
            said = json.loads(text)
            if said["format"] != FORMAT:
                raise Unreadable(f"format {said['format']}")
            programs = {name: b64decode(code, validate=True) for name, code in said["programs"].items()}
            return cls(b64decode(said["btf"]), {name: MapSpec(*s) for name, s in said["maps"].items()}, programs)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from error


def _map_loads(code: bytes | bytearray) -> Iterator[int]:
    """Yield where an instruction takes a map, in bytes from the beginning."""
    at = 0
    while at < len(code):
        operation, registers, _, _ = _INSTRUCTION.unpack_from(code, at)
        if operation == _LD_IMM64:
            if registers >> 4 == _PSEUDO_MAP_FD:
                yield at
            at += _INSTRUCTION.size
        at += _INSTRUCTION.size


def with_maps(code: bytes, immediates: Mapping[int, int]) -> bytes:
    """Return instructions with another immediate wherever they take a map: descriptors for places, or the reverse."""
    changed = bytearray(code)
    for at in _map_loads(code):
        (immediate,) = struct.unpack_from("=i", code, at + 4)
        struct.pack_into("=i", changed, at + 4, immediates[immediate])
    return bytes(changed)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function to load: enum bpf_prog_type, BPF_F_*, enum bpf_attach_type where the type has a context for each."""

    function: str
    type: int
    flags: int = 0
    attach_type: int = 0


def load(
    image: Image, wanted: Collection[Wanted], pinned: Path, shared: Collection[str], entries: Mapping[str, int]
) -> dict[str, int]:
    """Return a file descriptor of each program by its function.

    shared: maps that are pinned below `pinned`, adopted where they are there, else made and pinned; the others are made
    for these programs alone. entries: how many a map gets that is made, instead of what the source says.
    Raises OSError, its text what the verifier said; maps that were pinned by then stay.
    """
    with ExitStack() as stack:
        btf = bpf_load.btf_load(image.btf)
        stack.callback(os.close, btf)
        places = {}
        for place, (name, spec) in enumerate(image.maps.items()):
            path = pinned / name
            if name in shared and path.exists():
                fd = bpf.get_pinned(path)
            else:
                fd = bpf_load.map_create(name, replace(spec, max_entries=entries.get(name, spec.max_entries)), btf)
            stack.callback(os.close, fd)
            if name in shared and not path.exists():
                bpf.pin(fd, path)
            places[place] = fd
        loaded: dict[str, int] = {}
        with ExitStack() as undone:
            for each in wanted:
                code = with_maps(image.programs[each.function], places)
                fd = bpf_load.program_load(each.type, each.function, code, each.flags, each.attach_type)
                undone.callback(os.close, fd)
                loaded[each.function] = fd
            undone.pop_all()
        return loaded
