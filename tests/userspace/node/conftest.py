"""A bpffs of the test run's own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import CACHE


@pytest.fixture(scope="module")
def bpffs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("bpffs")
    subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
    yield root
    subprocess.run(["umount", root], check=True)


@pytest.fixture(scope="module")
def cache() -> Path:
    return CACHE
