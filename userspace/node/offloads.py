"""Whether XDP can carry TCP on a device: what the other end of a virtual wire leaves to hardware that is not there.

XDP knows no checksum but the one in the packet. With tx-checksum offload a veth's sender writes only the sum of the
pseudo-header into it: a packet that XDP sends on arrives wrong, and TCP dies while pings work. And a veth takes frames
from XDP only when its own receive side polls (GRO, or XDP of its own).
"""

import array
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from userspace.node import links

_SIOCETHTOOL = 0x8946
_GDRVINFO, _GTXCSUM, _GGRO = 0x03, 0x16, 0x2B  # ETHTOOL_*
CLONE_NEWNET = 0x40000000
NETNS = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)
_Found = TypeVar("_Found")


class Obstacle(NamedTuple):
    """Why XDP would lose TCP, and the command that mends it."""

    why: str
    mend: str


def obstacle(device: str) -> Obstacle | None:
    """Return what keeps XDP on `device` from carrying TCP; None when nothing is known to.

    A veth whose other end is in a network namespace that this process cannot see is not judged.
    """
    if driver(device) != "veth":
        return None
    peer, namespace = links.veth_peer(device)
    if namespace is None:
        return _of_peer(peer, "")
    for path in _namespaces():
        if links.namespace_id(path) == namespace:
            return _inside(path, partial(_of_peer, peer, _named(path)))
    return None


def driver(device: str) -> str:
    """Return the name of a device's driver, "" for one that has none."""
    info = bytearray(struct.pack("I", _GDRVINFO).ljust(196, b"\0"))
    try:
        _ethtool(device, info)
    except OSError:
        return ""
    return bytes(info[4:36]).partition(b"\0")[0].decode()


def _of_peer(index: int, where: str) -> Obstacle | None:
    peer = socket.if_indextoname(index)
    wrong = []
    if _value(peer, _GTXCSUM):
        wrong.append(("leaves checksums to hardware that is not there", "tx off"))
    if not _value(peer, _GGRO):
        wrong.append(("takes no frames from XDP without GRO", "gro on"))
    if not wrong:
        return None
    enter = f"ip netns exec {where} " if where else ""
    return Obstacle(
        f"its peer {peer} {' and '.join(why for why, _ in wrong)}",
        f"{enter}ethtool -K {peer} {' '.join(word for _, word in wrong)}",
    )


def _value(device: str, command: int) -> int:
    """Read one ethtool_value of a device."""
    value = array.array("I", [command, 0])
    _ethtool(device, value)
    return value[1]


def _ethtool(device: str, argument: "bytearray | array.array[int]") -> None:
    """Run one ethtool command, whose structure the kernel changes in place. Raises OSError."""
    place = (ctypes.c_char * (len(argument) * getattr(argument, "itemsize", 1))).from_buffer(argument)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(place)))


def _namespaces() -> Iterator[Path]:
    """Yield every network namespace that this process can see, each once."""
    seen = set()
    for path in (*(NETNS.iterdir() if NETNS.is_dir() else ()), *Path("/proc").glob("[0-9]*/ns/net")):
        try:
            found = path.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) not in seen:
            seen.add((found.st_dev, found.st_ino))
            yield path


def _named(path: Path) -> str:
    return path.name if path.parent == NETNS else str(path)


def _inside(path: Path, ask: Callable[[], _Found]) -> _Found:
    """Return what `ask` finds in another network namespace: setns moves one thread, which ends with it."""
    found: list[_Found] = []
    fault: list[OSError] = []

    def enter() -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
            finally:
                os.close(fd)
            found.append(ask())
        except OSError as error:
            fault.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    return found[0]
