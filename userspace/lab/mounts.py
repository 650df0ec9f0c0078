"""The two mounts that a lab makes outside its machines: its BPF file system, and ip(8)'s /run/netns."""

import contextlib
import errno
import os
from pathlib import Path

from userspace.lab import enter
from userspace.lab.apply import NETNS_DIRECTORY


def mount_bpffs(where: Path) -> None:
    """Mount one BPF file system, unless it is there; it stays when this process ends. Raises OSError.

    By the system call: mount(8) would keep a table of its own in /run/mount.
    """
    where.mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(where):
        enter.mount("bpf", str(where), "bpf", 0)


def unmount(where: Path) -> None:
    """Unmount, however many times it is mounted; nothing when it is not. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        while True:
            try:
                enter.unmount(str(where))
            except OSError as error:
                if error.errno == errno.EINVAL:  # the kernel's word for: not a mount
                    return
                raise


def forget_netns_directory() -> None:
    """Undo what the first `ip netns add` of this machine did, unless somebody has namespaces in there."""
    with contextlib.suppress(OSError):
        if not any(NETNS_DIRECTORY.iterdir()):
            unmount(NETNS_DIRECTORY)
            NETNS_DIRECTORY.rmdir()
