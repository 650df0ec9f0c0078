"""Run a command in a machine: `enter.py [--netns FILE] [--bpffs DIRECTORY] --cgroup DIRECTORY -- COMMAND...`.

The process becomes the command, so its pid, its exit status, its signals and its streams are the command's own. It runs
as a script, apart from the package (`python -I -S enter.py`), because it is on the way of every process of the lab.
"""

import argparse
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
MNT_DETACH = 2
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 1 << 19

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p)


def enter_netns(path: str) -> None:
    """Move the calling thread into a network namespace. Raises OSError with the path."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, CLONE_NEWNET), path)
    finally:
        os.close(fd)


def private_sys(bpffs: str | None) -> None:
    """Give this process mounts of its own: a /sys of its network namespace, with cgroups and `bpffs` where they belong.

    A slave, not private: namespaces that are deleted outside must not be held by a mount that lives on in here.
    """
    _check(_libc.unshare(CLONE_NEWNS), "mount namespace")
    mount("none", "/", None, MS_SLAVE | MS_REC)
    cgroups = os.open("/sys/fs/cgroup", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount("sysfs", "/sys", "sysfs", 0)
    mount(f"/proc/self/fd/{cgroups}", "/sys/fs/cgroup", None, MS_BIND | MS_REC)
    os.close(cgroups)
    if bpffs:
        mount(bpffs, "/sys/fs/bpf", None, MS_BIND)


def mount(source: str, target: str, kind: str | None, flags: int) -> None:
    """mount(2). Raises OSError with the target."""
    kind_bytes = kind.encode() if kind else None
    _check(_libc.mount(source.encode(), target.encode(), kind_bytes, flags, None), target)


def unmount(target: str) -> None:
    """Take the topmost mount off a directory; whoever is still inside keeps it until the end. Raises OSError."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), target)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def main() -> int:
    parser = argparse.ArgumentParser(prog="enter")
    parser.add_argument("--netns")
    parser.add_argument("--bpffs")
    parser.add_argument("--cgroup", required=True)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    try:
        Path(args.cgroup, "cgroup.procs").write_text("0")
        if args.netns:
            enter_netns(args.netns)
            private_sys(args.bpffs)
    except OSError as error:
        sys.stderr.write(f"unilb lab: cannot enter the machine: {error.filename}: {error.strerror}\n")
        return 125
    # A shell's usual 1024 would be the first limit that many connections meet, and not one of theirs.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Python ignores these for itself; the command must find them as a shell would leave them.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(args.command[0], args.command)
    except OSError as error:
        sys.stderr.write(f"unilb lab: {args.command[0]}: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main())
