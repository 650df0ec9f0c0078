"""Find a kernel header tree for BCC.

The running kernel's own, else the newest installed one: our programs include uapi headers only, and 6.1's serve a 6.18
kernel. Debian splits a tree in two packages (-amd64 and -common) that only /lib/modules/<release>/{build,source} join;
when that is not there for the running release, a tree of symbolic links in our own cache directory joins them.
"""

import platform
import re
from contextlib import suppress
from pathlib import Path

MODULES = Path("/lib/modules")
SOURCES = Path("/usr/src")


class HeadersMissing(Exception):
    """No header tree is installed; the text says what to install."""


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", path.name))


def _joined(arch: Path, common: Path, into: Path) -> Path:
    """Return `into`, a tree that holds the files of both packages."""
    for part in ("include", f"arch/{_arch()}/include"):
        (into / part).mkdir(parents=True, exist_ok=True)
        for origin in (common, arch):
            for entry in (origin / part).iterdir() if (origin / part).is_dir() else ():
                link = into / part / entry.name
                if not link.is_symlink():
                    with suppress(FileExistsError):  # another node makes the same tree
                        link.symlink_to(entry)
    return into


def _arch() -> str:
    return {"x86_64": "x86", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def find_headers(cache: Path) -> Path:
    """Return a directory for BCC_KERNEL_SOURCE, which wants one complete tree. Writes only below `cache`.

    Raises HeadersMissing.
    """
    release = platform.release()
    build, source = MODULES / release / "build", MODULES / release / "source"
    if (build / "include/linux/kconfig.h").exists():
        return build
    if build.exists() and source.exists():
        return _joined(build.resolve(), source.resolve(), cache / f"headers-{release}")
    flavours = sorted(
        (p for p in SOURCES.glob("linux-headers-*") if (p / "include/generated/autoconf.h").exists()), key=_version
    )
    for arch in reversed(flavours):
        if (arch / "include/linux/kconfig.h").exists():
            return arch
        common = arch.with_name(arch.name.rsplit("-", 1)[0] + "-common")
        if common.exists():
            return _joined(arch, common, cache / arch.name)
    raise HeadersMissing(f"no kernel headers for {release} nor any other: apt-get install linux-headers-amd64")
