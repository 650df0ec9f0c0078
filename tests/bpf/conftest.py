"""One loaded datapath per role, in a bpffs of the test run's own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packets import packet_namespace
from userspace.node import datapath
from userspace.node.datapath import Datapath, Sizes

SIZES = Sizes(flows=4096, endpoints=64, services=8, targets=8, owned=16, laddrs=8, accounts=16)


@pytest.fixture(scope="session")
def bpffs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("bpffs")
    subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ.get("UNILB_CACHE", tmp_path_factory.mktemp("cache")))


def _loaded(bpffs: Path, cache: Path, role: str, hook: str) -> Iterator[Datapath]:
    root = bpffs / f"{role}-{hook}"
    loaded = datapath.load(root, role, SIZES, cache, hook)
    yield loaded
    loaded.close()
    datapath.detach(root)


@pytest.fixture(scope="session")
def l4(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    yield from _loaded(bpffs, cache, "l4", "auto")


@pytest.fixture(scope="session")
def l4_on_xdp(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    yield from _loaded(bpffs, cache, "l4", "xdp")


@pytest.fixture(scope="session")
def gateway(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    yield from _loaded(bpffs, cache, "gateway", "auto")


@pytest.fixture(scope="session")
def gateway_on_xdp(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    yield from _loaded(bpffs, cache, "gateway", "xdp")


@pytest.fixture(scope="module")
def ifindex() -> Iterator[int]:
    with packet_namespace() as index:
        yield index
