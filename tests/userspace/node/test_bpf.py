"""bpf(2) by file descriptor."""

import os
from collections.abc import Iterator
from ctypes import c_uint32
from pathlib import Path

import pytest

from userspace.node import abi, bpf, bpf_load, datapath
from userspace.node.datapath import Datapath, Sizes
from userspace.node.maps import Table

pytestmark = pytest.mark.bpf


@pytest.fixture(scope="module")
def loaded(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    made = datapath.load(bpffs / "bpf", "l4", Sizes(flows=20000, owned=16), cache)
    yield made
    made.close()
    datapath.detach(bpffs / "bpf")


def test_put_get_delete(loaded: Datapath) -> None:
    table, key = loaded.tables["owned"], abi.addr("10.0.0.1")
    assert table.get(key) is None
    table.put(key, c_uint32(7))
    assert table.get(key) == bytes(c_uint32(7))
    with pytest.raises(FileExistsError):
        table.put(key, c_uint32(8), bpf.BPF_NOEXIST)
    assert table.delete(key)
    assert not table.delete(key)


def test_a_full_map_refuses(loaded: Datapath) -> None:
    table = loaded.tables["toa_trusted"]
    with pytest.raises(OSError, match="Argument list too long"):
        for number in range(17):
            table.put(abi.addr(f"10.0.0.{number}"), c_uint32(1))


@pytest.mark.parametrize("count", [0, 1, 5000, 20000])
def test_every_item_is_read_once(loaded: Datapath, count: int) -> None:
    table = loaded.tables["sessions"]
    for key in [entry[0] for entry in table.items()]:
        table.delete(key)
    flows = [bytes(abi.Flow(vni=number)) for number in range(count)]
    table.put_many((flow, bytes(abi.Session())) for flow in flows)
    assert sorted(key for key, _ in table.items()) == sorted(flows)


def test_a_small_chunk_grows_until_a_bucket_fits(loaded: Datapath) -> None:
    table = loaded.tables["sessions"]
    table.put_many((bytes(abi.Flow(vni=n)), bytes(abi.Session())) for n in range(3000))
    read = bpf.map_items(table.fd, table.shape.key_size, table.shape.value_size, chunk=1)
    assert len(read) == len(table.items())


def test_counters_are_summed_over_cpus(loaded: Datapath) -> None:
    assert loaded.tables["drops"].totals(3) == [0, 0, 0]


def test_errors_are_the_kernels(loaded: Datapath) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        bpf.map_lookup(999999, b"1234", 4)
    with pytest.raises(FileNotFoundError):
        bpf.get_pinned(loaded.root / "nothing")


def test_shape_names_sizes(loaded: Datapath) -> None:
    table: Table = loaded.tables["sessions"]
    assert (table.shape.key_size, table.shape.value_size, table.shape.max_entries) == (44, 96, 20000)
    assert os.fstat(table.fd)


RETURN_2 = bytes.fromhex("b7000000020000009500000000000000")  # r0 = 2; exit
XDP = 6


def test_a_program_is_loaded_from_its_instructions() -> None:
    fd = bpf_load.program_load(XDP, "two", RETURN_2, bpf_load.XDP_HAS_FRAGS)
    assert bpf.test_run(fd, bytes(64)).verdict == 2
    os.close(fd)


def test_a_program_that_the_verifier_refuses_is_refused_in_its_words() -> None:
    with pytest.raises(OSError, match="R0 !read_ok"):
        bpf_load.program_load(XDP, "none", RETURN_2[8:])
