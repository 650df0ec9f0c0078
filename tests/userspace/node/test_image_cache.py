"""Images are compiled once, and again when the file or the kernel does not want them."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from userspace.node import bpf, datapath, image, image_cache
from userspace.node.datapath import SOURCES, Sizes
from userspace.node.image import Image, Wanted
from userspace.node.image_cache import LoadError, image_of

SCHED_CLS = 3
WANTED = [Wanted("neigh_ingress", SCHED_CLS)]
SOURCE = SOURCES / "tc_neigh.c"


@pytest.fixture(scope="module")
def compiled(cache: Path) -> Image:
    return image_of(SOURCE, WANTED, cache)


class Compiler:
    """In BCC's place: says an image that it was given, and counts."""

    def __init__(self, says: Image) -> None:
        self.says = says.to_json()
        self.sources: list[str] = []
        self.lock = Lock()

    def __call__(self, source: Path, wanted: Any, headers: Path) -> str:
        with self.lock:
            self.sources.append(source.read_text())
        return self.says


@pytest.fixture
def compiler(compiled: Image, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    made = Compiler(compiled)
    monkeypatch.setattr(image_cache, "_compile", made)
    yield made


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    copy = tmp_path / "bpf"
    subprocess.run(["cp", "-r", SOURCES, copy], check=True)
    return copy


@pytest.mark.bpf
def test_bcc_says_all_that_a_program_needs(compiled: Image) -> None:
    assert set(compiled.programs) == {"neigh_ingress"}
    assert {"sessions", "drop_events", "scratch"} <= set(compiled.maps)
    assert compiled.maps["sessions"].key_size == 44
    assert compiled.maps["sessions"].key_type and compiled.maps["sessions"].value_type


@pytest.mark.bpf
def test_the_second_time_nothing_is_compiled(compiler: Compiler, compiled: Image, tmp_path: Path) -> None:
    for _ in range(2):
        assert image_of(SOURCE, WANTED, tmp_path) == compiled
    assert len(compiler.sources) == 1


@pytest.mark.bpf
def test_where_the_sources_are_does_not_matter_what_is_in_them_does(
    compiler: Compiler, sources: Path, tmp_path: Path
) -> None:
    image_of(SOURCE, WANTED, tmp_path)
    image_of(sources / SOURCE.name, WANTED, tmp_path)
    assert len(compiler.sources) == 1
    header = sources / "lib" / "parse.h"
    header.write_text(header.read_text() + "\n/* changed */\n")
    image_of(sources / SOURCE.name, WANTED, tmp_path)
    assert len(compiler.sources) == 2


@pytest.mark.bpf
@pytest.mark.parametrize("damage", ["", "{", '{"format": 0}'])
def test_a_damaged_file_is_made_anew(compiler: Compiler, compiled: Image, tmp_path: Path, damage: str) -> None:
    image_of(SOURCE, WANTED, tmp_path)
    (file,) = (tmp_path / "images").glob("*.json")
    file.write_text(damage)
    assert image_of(SOURCE, WANTED, tmp_path) == compiled
    assert Image.from_json(file.read_text()) == compiled and len(compiler.sources) == 2


@pytest.mark.bpf
def test_a_full_disk_costs_the_file_and_not_the_image(
    compiler: Compiler, compiled: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_of(SOURCE, WANTED, tmp_path)  # and the header tree is there
    folder = tmp_path / "images"
    for file in folder.iterdir():
        file.unlink()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], check=True)
    try:
        assert image_of(SOURCE, WANTED, tmp_path) == compiled
        assert {path.suffix for path in folder.iterdir()} == {".lock"}
    finally:
        subprocess.run(["umount", folder], check=True)
    assert "is not kept, the next start compiles again: [Errno 28]" in caplog.text


@pytest.mark.bpf
def test_who_comes_meanwhile_waits(compiler: Compiler, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: image_of(SOURCE, WANTED, tmp_path), range(8)))
    assert len(compiler.sources) == 1


@pytest.mark.bpf
def test_the_folder_is_roots_alone_and_does_not_grow(compiler: Compiler, sources: Path, tmp_path: Path) -> None:
    changed = sources / SOURCE.name
    for n in range(image_cache.KEPT + 3):
        changed.write_text(f"{SOURCE.read_text()}/* {n} */\n")
        image_of(changed, WANTED, tmp_path)
    folder = tmp_path / "images"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(list(folder.glob("*.json"))) == len(list(folder.glob("*.lock"))) == image_cache.KEPT
    image_of(changed, WANTED, tmp_path)
    assert len(compiler.sources) == image_cache.KEPT + 3, "the newest is not there any more"


@pytest.mark.bpf
def test_what_the_kernel_refuses_is_compiled_again(
    compiler: Compiler, compiled: Image, bpffs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_only = bytes.fromhex("9500000000000000")
    refused = Image(compiled.btf, compiled.maps, dict.fromkeys(compiled.programs, exit_only))
    said, compiler.says = compiler.says, refused.to_json()
    with pytest.raises(LoadError, match="tc_neigh.c does not load:(?s:.)*R0 !read_ok"):
        load(bpffs / "refused", tmp_path, monkeypatch)
    assert len(compiler.sources) == 2
    compiler.says = said  # another kernel's image is in the cache, and the compiler makes this one's
    load(bpffs / "refused", tmp_path, monkeypatch)
    assert len(compiler.sources) == 3
    datapath.detach(bpffs / "refused")


def load(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = tuple(program for program in datapath.XDP_ROLES["l4"] if program.function == "neigh_ingress")
    monkeypatch.setattr(datapath, "ROLES", {"l4": only})
    monkeypatch.setattr(datapath, "XDP_ROLES", {"l4": only})
    datapath.load(root, "l4", Sizes(flows=64), cache).close()


@pytest.mark.bpf
def test_maps_have_the_sizes_of_the_settings_and_their_types(compiled: Image, bpffs: Path, cache: Path) -> None:
    made = datapath.load(bpffs / "sized", "l4", Sizes(flows=66, owned=5), cache, "xdp")
    shapes = {name: bpf.map_shape(table.fd).max_entries for name, table in made.tables.items()}
    assert (shapes["sessions"], shapes["owned"], shapes["path_mtus"]) == (66, 5, 1024)
    made.close()
    datapath.detach(bpffs / "sized")
    assert image.FORMAT == 1
