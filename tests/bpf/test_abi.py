"""abi.py says what abi.h says: names, sizes, offsets and enum values, compared through BTF. Needs no root."""

import ctypes
import json
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from userspace.node import abi, maps, splice_abi
from userspace.node.datapath import SOURCES

STRUCTS = abi.STRUCTS | splice_abi.STRUCTS
ENUMS = abi.ENUMS | splice_abi.ENUMS
TRIPLET = sysconfig.get_config_var("MULTIARCH")  # where Debian keeps asm/types.h


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every struct and enum of abi.h as clang lays it out for BPF; a hidden hole is an error."""
    folder = tmp_path_factory.mktemp("abi")
    names = [f"struct {name} s_{name};" for name in STRUCTS] + [f"enum {name} e_{name};" for name in ENUMS]
    constants = [f"int c_{name} = {name};" for name in ("ABI_VERSION", "RING_SIZE")]
    (folder / "abi.c").write_text("\n".join([f'#include "{SOURCES}/lib/abi.h"', *names, *constants]))
    subprocess.run(
        ["clang", "-target", "bpf", "-g", "-O2", "-Wpadded", "-Werror", f"-I/usr/include/{TRIPLET}", "-c", "abi.c"],
        check=True,
        cwd=folder,
    )
    dump = subprocess.check_output(["bpftool", "btf", "dump", "file", folder / "abi.o", "-j"])
    types = json.loads(dump)["types"]
    return {t["name"]: t for t in types if t["kind"] in ("STRUCT", "ENUM")}


@pytest.mark.parametrize("name", STRUCTS)
def test_struct_has_the_same_layout(layout: dict[str, Any], name: str) -> None:
    ours, theirs = STRUCTS[name], layout[name]
    assert ctypes.sizeof(ours) == theirs["size"]
    assert [(f[0].rstrip("_"), getattr(ours, f[0]).offset) for f in ours._fields_] == [
        (m["name"], m["bits_offset"] // 8) for m in theirs["members"]
    ]


@pytest.mark.parametrize("name", ENUMS)
def test_enum_has_the_same_values(layout: dict[str, Any], name: str) -> None:
    ours, prefix = ENUMS[name]
    theirs = {v["name"].removeprefix(prefix): v["val"] for v in layout[name]["values"]}
    theirs.pop("DROP_REASONS", None), theirs.pop("REASONS", None), theirs.pop("EVENTS", None)
    theirs = {name: value for name, value in theirs.items() if name not in ("SPLICE_BACKS", "ATTRIBUTES")}
    assert {member.name: member.value for member in ours} == theirs


def test_constants_are_the_same() -> None:
    text = (SOURCES / "lib/abi.h").read_text()
    assert f"#define ABI_VERSION {abi.ABI_VERSION}\n" in text
    assert f"#define RING_SIZE {abi.RING_SIZE}\n" in text


def test_every_struct_of_the_header_is_mirrored() -> None:
    lines = [
        line
        for name in ("abi.h", "abi_splice.h", "reasons.h")
        for line in (SOURCES / "lib" / name).read_text().splitlines()
    ]
    assert {line.split()[1] for line in lines if line.startswith("struct ")} == set(STRUCTS)
    assert {line.split()[1] for line in lines if line.startswith("enum ")} == set(ENUMS)


def test_every_map_of_the_header_is_known_by_name() -> None:
    text = " ".join(
        word for name in ("maps.h", "splice_maps.h") for word in (SOURCES / "lib" / name).read_text().split()
    )
    declared = {piece.split(",")[3].strip() for piece in re.split(r"BPF_(?:F_)?TABLE\(", text)[1:]}
    rings = set(re.findall(r"SPLICE_RING\((?!name)(\w+)|(?<=_table_t )(drop_events) =", text))
    assert declared == set(maps.LAYOUT)
    assert {splice or drop for splice, drop in rings} == set(maps.RINGS)
    assert all(len(name) <= 15 for name in maps.SHARED)


def test_programs_have_names_the_kernel_does_not_cut(tmp_path: Path) -> None:
    from userspace.node.datapath import ROLES, XDP_ROLES

    assert all(len(p.function) <= 15 for roles in (ROLES, XDP_ROLES) for programs in roles.values() for p in programs)
