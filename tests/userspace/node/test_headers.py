"""Where BCC finds kernel headers."""

from pathlib import Path

import pytest

from userspace.node import headers
from userspace.node.headers import HeadersMissing, find_headers


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine with kernel 6.9.1 running."""
    monkeypatch.setattr(headers, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(headers, "SOURCES", tmp_path / "src")
    monkeypatch.setattr(headers.platform, "release", lambda: "6.9.1")
    return tmp_path


def tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def debian(system: Path, version: str) -> Path:
    """Install a tree in Debian's two halves."""
    tree(system / f"src/linux-headers-{version}-common", "include/linux/kconfig.h", "arch/x86/include/uapi/asm/a.h")
    return tree(
        system / f"src/linux-headers-{version}-amd64", "include/generated/autoconf.h", "arch/x86/include/generated/b.h"
    )


def test_the_running_kernels_tree_comes_first(system: Path) -> None:
    debian(system, "6.10.0")
    build = tree(system / "modules/6.9.1/build", "include/linux/kconfig.h")
    assert find_headers(system / "cache") == build


def test_the_newest_installed_tree_stands_in(system: Path) -> None:
    debian(system, "6.1.0-9")
    debian(system, "6.1.0-56")
    found = find_headers(system / "cache")
    assert found == system / "cache/linux-headers-6.1.0-56-amd64"
    for file in ("include/linux/kconfig.h", "include/generated/autoconf.h"):
        assert (found / file).exists()


def test_both_halves_are_joined_by_links_only(system: Path) -> None:
    debian(system, "6.1.0-56")
    found = find_headers(system / "cache")
    assert {p.name for p in (found / "include").iterdir()} == {"linux", "generated"}
    assert all(p.is_symlink() for p in (found / "include").iterdir())
    assert find_headers(system / "cache") == found


def test_no_tree_says_what_to_install(system: Path) -> None:
    with pytest.raises(HeadersMissing, match=r"6\.9\.1.*apt-get install linux-headers-amd64"):
        find_headers(system / "cache")
