"""One loaded datapath per role, in a bpffs of the test run's own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packets import packet_namespace
from userspace.node import datapath
from userspace.node.datapath import Datapath, Sizes

SIZES = Sizes(flows=4096, endpoints=64, services=4, targets=8, owned=16, laddrs=4)


@pytest.fixture(scope="session")
def bpffs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("bpffs")
    subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ.get("UNILB_CACHE", tmp_path_factory.mktemp("cache")))


def _loaded(bpffs: Path, cache: Path, role: str) -> Iterator[Datapath]:
    loaded = datapath.load(bpffs / role, role, SIZES, cache)
    yield loaded
    loaded.close()
    datapath.detach(bpffs / role)


@pytest.fixture(scope="module")
def l4(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    yield from _loaded(bpffs, cache, "l4")


@pytest.fixture(scope="module")
def gateway(bpffs: Path, cache: Path) -> Iterator[Datapath]:
    yield from _loaded(bpffs, cache, "gateway")


@pytest.fixture(scope="module")
def ifindex() -> Iterator[int]:
    with packet_namespace() as index:
        yield index
