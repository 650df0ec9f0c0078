"""Programs and maps outlive whoever loaded them, and the next one adopts them."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packets import packet_namespace
from userspace.node import abi, bpf, datapath, links, maps
from userspace.node.datapath import Datapath, Sizes
from userspace.node.image_cache import LoadError

pytestmark = pytest.mark.bpf
SIZES = Sizes(flows=64, endpoints=8, services=2, targets=4, owned=8, laddrs=2)


@pytest.fixture
def root(bpffs: Path) -> Iterator[Path]:
    yield bpffs / "one"
    datapath.detach(bpffs / "one")


@pytest.fixture
def device() -> Iterator[int]:
    with packet_namespace() as ifindex:
        yield ifindex


def l4(root: Path, cache: Path, sizes: Sizes = SIZES) -> Datapath:
    return datapath.load(root, "l4", sizes, cache)


def linked_programs() -> set[int]:
    """Return the ids of programs that any link of this kernel carries."""
    return {link["prog_id"] for link in json.loads(subprocess.check_output(["bpftool", "link", "show", "-j"]))}


def on(device: int) -> dict[str, int]:
    """One device in every place."""
    return {"underlay": device, "vpc": device}


def test_the_second_load_adopts_programs_and_entries(root: Path, cache: Path) -> None:
    first = l4(root, cache)
    first.tables["owned"].put(abi.addr("10.0.0.1"), abi.c_uint32(1))
    ids = {name: bpf.program_id(fd) for name, fd in first.programs.items()}
    first.close()
    second = l4(root, cache)
    assert (first.adopted, second.adopted) == (False, True)
    assert {name: bpf.program_id(fd) for name, fd in second.programs.items()} == ids
    assert second.tables["owned"].get(abi.addr("10.0.0.1")) is not None
    second.close()


def test_attachments_outlive_the_process_and_are_found_again(root: Path, cache: Path, device: int) -> None:
    first = l4(root, cache)
    datapath.attach(first, on(device), None)
    link = bpf.link_program_id(first.links["l4_ingress"])
    first.close()
    assert link in linked_programs()
    second = l4(root, cache)
    datapath.attach(second, on(device), None)
    assert bpf.link_program_id(second.links["l4_ingress"]) == link
    second.close()


def test_another_build_is_swapped_in_on_the_same_maps(
    root: Path, cache: Path, device: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = l4(root, cache)
    datapath.attach(first, on(device), None)
    first.tables["owned"].put(abi.addr("10.0.0.1"), abi.c_uint32(1))
    before = bpf.program_id(first.programs["l4_ingress"])
    first.close()
    sources = tmp_path / "bpf"
    subprocess.run(["cp", "-r", datapath.SOURCES, sources], check=True)
    changed = sources / "tc_dsr.c"  # none of an L4 node's: its image is the same, the build's name is not
    changed.write_text(changed.read_text() + "\n/* another build */\n")
    monkeypatch.setattr(datapath, "SOURCES", sources)
    second = l4(root, cache)
    assert not second.adopted
    datapath.attach(second, on(device), None)
    assert bpf.link_program_id(second.links["l4_ingress"]) == bpf.program_id(second.programs["l4_ingress"]) != before
    assert second.tables["owned"].get(abi.addr("10.0.0.1")) is not None
    assert len(list((second.root / "programs").iterdir())) == 1
    second.close()


def test_a_link_of_a_vanished_device_is_made_anew(root: Path, cache: Path) -> None:
    with packet_namespace() as ifindex:
        first = l4(root, cache)
        datapath.attach(first, on(ifindex), None)
        first.close()
    with packet_namespace():
        subprocess.run(["ip", "link", "add", "other", "index", "77", "type", "veth"], check=True)
        second = l4(root, cache)
        datapath.attach(second, on(77), None)
        assert bpf.link_ifindex(second.links["l4_ingress"]) == 77
        second.close()


def test_clsact_serves_kernels_without_tcx(root: Path, cache: Path, device: int) -> None:
    loaded = datapath.load(root, "l4", SIZES, cache, "clsact")
    for _ in range(2):
        datapath.attach(loaded, on(device), None)
    loaded.close()
    shown = subprocess.check_output(["bpftool", "net", "show", "dev", "u0"], text=True)
    assert shown.count("l4_ingress") == 1 and "clsact/ingress" in shown
    assert links.detach_every_clsact() == ["u0"]
    assert "l4_ingress" not in subprocess.check_output(["bpftool", "net", "show", "dev", "u0"], text=True)


def test_a_map_of_another_size_is_refused_by_name(root: Path, cache: Path) -> None:
    l4(root, cache).close()
    with pytest.raises(maps.MapMismatch, match="map sessions: pinned with 64 entries, the settings say 128"):
        l4(root, cache, Sizes(flows=128, endpoints=8, services=2, targets=4, owned=8, laddrs=2))


def test_a_map_of_another_layout_is_refused_by_name(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    l4(root, cache).close()
    monkeypatch.setitem(maps.LAYOUT, "targets", (abi.c_uint32, abi.Service))
    with pytest.raises(maps.MapMismatch, match="map targets: pinned with key/value of"):
        l4(root, cache)


def test_what_the_compiler_says_is_in_the_error(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sources = tmp_path / "bpf"
    subprocess.run(["cp", "-r", datapath.SOURCES, sources], check=True)
    (sources / "tc_l4.c").write_text("int l4_ingress(struct __sk_buff *skb) { return missing; }\n")
    monkeypatch.setattr(datapath, "SOURCES", sources)
    with pytest.raises(LoadError, match="tc_l4.c does not load:(?s:.)*undeclared identifier 'missing'"):
        l4(root, cache)


def test_detach_leaves_nothing(root: Path, cache: Path, device: int) -> None:
    loaded = l4(root, cache)
    datapath.attach(loaded, on(device), None)
    program = bpf.program_id(loaded.programs["l4_ingress"])
    loaded.close()
    assert program in linked_programs()
    assert datapath.detach(root)
    assert not datapath.home(root).exists()
    assert program not in linked_programs()
    assert not datapath.detach(root)


def test_dumps_name_their_fields(root: Path, cache: Path) -> None:
    loaded = l4(root, cache)
    loaded.tables["targets"].put(abi.c_uint32(1), abi.Target(addr=abi.addr("10.1.0.11"), port=80))
    dump = subprocess.check_output(
        ["bpftool", "map", "lookup", "pinned", loaded.root / "targets", "key", "1", "0", "0", "0"], text=True
    )
    assert '"addr"' in dump and '"port"' in dump
    loaded.close()


def test_no_file_descriptor_is_left_open(root: Path, cache: Path) -> None:
    l4(root, cache).close()
    before = set(os.listdir("/proc/self/fd"))
    l4(root, cache).close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_kernel_memory_is_known(root: Path, cache: Path) -> None:
    loaded = l4(root, cache)
    assert loaded.kernel_bytes() > 2 * SIZES.services * abi.RING_SIZE * 4
    loaded.close()


def test_xdp_takes_the_place_of_tc_on_the_same_maps_and_back(root: Path, cache: Path, device: int) -> None:
    ways = {"tcx": {"l4_ingress", "probe_egress"}, "xdpgeneric": {"l4_xdp", "neigh_ingress", "probe_egress"}}
    for hook in ("tcx", "xdpgeneric", "tcx"):
        loaded = datapath.load(root, "l4", SIZES, cache, hook)
        if hook == "tcx":
            loaded.tables["owned"].put(abi.addr("10.0.0.1"), abi.c_uint32(1))
        datapath.attach(loaded, on(device), None)
        assert {path.name for path in (loaded.root / "links").iterdir()} == ways[hook]
        assert {bpf.link_ifindex(link) for link in loaded.links.values()} == {device}
        assert loaded.tables["owned"].get(abi.addr("10.0.0.1")) is not None
        loaded.close()
    datapath.detach(root)
    shown = subprocess.check_output(["bpftool", "net", "show", "dev", "u0"], text=True)
    assert "l4" not in shown


def test_another_abis_programs_go_when_ours_are_attached(root: Path, cache: Path, device: int) -> None:
    old = root / str(abi.ABI_VERSION - 1) / "links"
    old.mkdir(parents=True)
    loaded = l4(root, cache)
    assert old.exists()
    datapath.attach(loaded, on(device), None)
    assert not old.parent.exists()
    loaded.close()


def test_detaching_leaves_nothing_of_any_abi(root: Path, cache: Path) -> None:
    l4(root, cache).close()
    (root / str(abi.ABI_VERSION + 1)).mkdir()
    assert datapath.detach(root)
    assert list(root.iterdir()) == []
    assert not datapath.detach(root)
