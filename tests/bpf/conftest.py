"""One loaded datapath per role and hook, and each again as after an upgrade, in a bpffs of the test run's own."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from ctypes import c_uint32
from pathlib import Path

import pytest

from tests.images import CACHE
from tests.packets import packet_namespace
from userspace.node import abi, bpf, datapath
from userspace.node.datapath import Datapath, Sizes

SIZES = Sizes(
    flows=4096, endpoints=64, services=8, targets=8, owned=16, laddrs=8, accounts=16, splices=8, guard_paths=64
)
Datapaths = Callable[[str, str, bool], Datapath]


@pytest.fixture(scope="session")
def bpffs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("bpffs")
    subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


@pytest.fixture(scope="session")
def datapaths(bpffs: Path) -> Iterator[Datapaths]:
    """Return the datapath of (role, hook "auto" or "xdp", whether swapped): loaded when it is first asked for."""
    loaded: dict[tuple[str, str, bool], Datapath] = {}

    def of(role: str, hook: str, swapped: bool = False) -> Datapath:
        place = (role, hook, swapped)
        if place not in loaded:
            root = bpffs / f"{role}-{hook}"
            if swapped:  # a build of its own on the same maps, as an upgrade loads it
                before = of(role, hook)
                shutil.rmtree(before.root / "programs")
            loaded[place] = datapath.load(root, role, SIZES, CACHE, hook)
            assert not loaded[place].adopted
            if role == "l4" and not swapped:
                fill_rings(loaded[place])
        return loaded[place]

    yield of
    for place in loaded.values():
        place.close()
        datapath.detach(place.root.parent)


def fill_rings(loaded: Datapath) -> None:
    """Slot r of the rings names target r + 1 everywhere; slot 7 is empty."""
    for slot in range(3):
        keys = b"".join(bytes(c_uint32(slot * abi.RING_SIZE + i)) for i in range(abi.RING_SIZE))
        bpf.map_update_batch(loaded.tables["rings"].fd, keys, bytes(c_uint32(slot + 1)) * abi.RING_SIZE, abi.RING_SIZE)


@pytest.fixture(scope="session")
def l4(datapaths: Datapaths) -> Datapath:
    return datapaths("l4", "auto", False)


@pytest.fixture(scope="session")
def gateway(datapaths: Datapaths) -> Datapath:
    return datapaths("gateway", "auto", False)


@pytest.fixture(scope="module")
def ifindex() -> Iterator[int]:
    with packet_namespace() as index:
        yield index
