"""What bpf(2) makes: type information (BTF), maps, programs. Layouts are those of include/uapi/linux/bpf.h.

Every function raises OSError with the kernel's errno. File descriptors are plain ints owned by the caller.
"""

import ctypes
import os
import struct
from dataclasses import dataclass

from userspace.node.bpf_call import address, bpf, given

_MAP_CREATE, _PROG_LOAD, _OBJ_GET_INFO_BY_FD, _BTF_LOAD, _BTF_GET_FD_BY_ID = 0, 5, 15, 18, 19

XDP_HAS_FRAGS = 1 << 5  # a program that takes packets of more than a page, as an MTU of 9000 makes them


@dataclass(frozen=True, slots=True)
class MapSpec:
    """What a map is made of: type is enum bpf_map_type, sizes are bytes, flags BPF_F_*. key_type and value_type are ids
    of the BTF that goes with it, 0 where there is none."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    key_type: int = 0
    value_type: int = 0


def map_create(name: str, spec: MapSpec, btf: int) -> int:
    """btf: a file descriptor from btf_load(). The kernel keeps 15 characters of the name."""
    typed = (btf, spec.key_type, spec.value_type) if spec.value_type else (0, 0, 0)
    attr = struct.pack("=IIIII", spec.type, spec.key_size, spec.value_size, spec.max_entries, spec.flags)
    attr += struct.pack("=II16sI", 0, 0, name.encode()[:15], 0)  # inner map, NUMA node, name, device
    return bpf(_MAP_CREATE, attr + struct.pack("=III", *typed))[0]


def map_spec(fd: int) -> tuple[MapSpec, int]:
    """Return what a map was made of, and the id of its BTF, 0 without. struct bpf_map_info"""
    info = _info(fd, 88)
    type, _, key_size, value_size, max_entries, flags = struct.unpack_from("=IIIIII", info)
    btf, key_type, value_type = struct.unpack_from("=III", info, 64)
    return MapSpec(type, key_size, value_size, max_entries, flags, key_type, value_type), btf


def btf_load(data: bytes) -> int:
    blob = given(data)
    return bpf(_BTF_LOAD, struct.pack("=QQIIII", address(blob), 0, len(data), 0, 0, 0))[0]


def btf_data(id: int) -> bytes:
    """Return the BTF of an id as it was loaded. struct bpf_btf_info"""
    fd = bpf(_BTF_GET_FD_BY_ID, struct.pack("=I", id))[0]
    try:
        size = struct.unpack_from("=I", _info(fd, 32), 8)[0]
        out = ctypes.create_string_buffer(size)
        info = ctypes.create_string_buffer(struct.pack("=QI", address(out), size), 32)
        bpf(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, 32, address(info)))
        return out.raw
    finally:
        os.close(fd)


def program_load(
    type: int, name: str, instructions: bytes, flags: int = 0, attach_type: int = 0, log_size: int = 1 << 20
) -> int:
    """Load a GPL program (enum bpf_prog_type, BPF_F_*) and return its file descriptor. attach_type: enum
    bpf_attach_type, for those whose context depends on it.

    Raises OSError, its text the end of the verifier's log.
    """
    code, license = given(instructions), given(b"GPL\0")
    said = ctypes.create_string_buffer(log_size)

    def attr(level: int) -> bytes:
        log = (level, log_size, address(said)) if level else (0, 0, 0)
        head = struct.pack("=IIQQIIQ", type, len(instructions) // 8, address(code), address(license), *log)
        return head + struct.pack("=II16sII", 0, flags, name.encode()[:15], 0, attach_type)

    try:
        return bpf(_PROG_LOAD, attr(0))[0]
    except OSError:
        try:
            return bpf(_PROG_LOAD, attr(1))[0]
        except OSError as error:
            log = said.value.decode(errors="replace")[-4000:]
            raise OSError(error.errno, log or str(error)) from None


def _info(fd: int, size: int) -> bytes:
    out = ctypes.create_string_buffer(size)
    bpf(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, size, address(out)))
    return out.raw
