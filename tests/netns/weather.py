"""A bad wire: packets on the data's ways through the router are lost, doubled and overtaken, drawn from a seed.

`weather.c` sits on the way in of the router's ports. What it delays leaves by one end of a pair of devices; a relay
takes it up at the other, keeps it for some milliseconds, and hands it back.
"""

import ctypes
import heapq
import os
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeVar

from tests.images import CACHE
from userspace.lab import enter
from userspace.lab.exec import run
from userspace.lab.lab import Lab
from userspace.node import bpf, image
from userspace.node.image import Wanted
from userspace.node.image_cache import image_of
from userspace.node.maps import possible_cpus

SOURCE = Path(__file__).with_name("weather.c")
SCHED_CLS = 3  # enum bpf_prog_type
PORTS = ("client", "gw1", "web1", "web2", "host1", "host2")
OFFLOADS = ("tx", "tso", "gso")
OUT, RELAY = "weather0", "weather1"
DELAY = (0.001, 0.005)  # seconds
WIRES = 2  # that a packet crosses on its way: one before the gateway, one behind it
_ARRAY, _PERCPU_ARRAY = 2, 6  # enum bpf_map_type
_SO_MARK, _SO_RCVMARK, _SO_RCVBUFFORCE, _ETH_P_IP = 36, 75, 33, 0x0800
T = TypeVar("T")


@dataclass(frozen=True)
class Tally:
    """struct tally of weather.c, over all CPUs."""

    seen: int
    lost: int
    doubled: int
    delayed: int
    released: int
    overtaken: int

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


class Weather:
    """Of one lab; fair until `bad()`."""

    def __init__(self, program: int, relay: int) -> None:
        self._settings = _map_of(program, _ARRAY)
        self._tallies = _map_of(program, _PERCPU_ARRAY)
        self._relay = relay

    @contextmanager
    def bad(self, percent: float, seed: int) -> Iterator[Callable[[], Tally]]:
        """Have so many of the packets that cross the region from end to end be lost, as many doubled, as many delayed,
        while the block runs. Yields what tells how many it were."""
        before = self._tally()
        self._set(seed, percent / WIRES)
        try:
            yield lambda: self._tally() - before
        finally:
            self._set(0, 0)

    def close(self) -> None:
        os.close(self._settings)
        os.close(self._tallies)

    def _set(self, seed: int, percent: float) -> None:
        bpf.map_update(self._settings, bytes(4), struct.pack("=QII", seed, int(percent * 65536 / 100), self._relay))

    def _tally(self) -> Tally:
        size = ctypes.sizeof(ctypes.c_uint64) * len(Tally.__dataclass_fields__)
        found = bpf.map_lookup(self._tallies, bytes(4), size * possible_cpus())
        assert found is not None
        return Tally(*map(sum, zip(*struct.iter_unpack(f"={size // 8}Q", found), strict=True)))


def _map_of(program: int, type: int) -> int:
    found = bpf.map_of_program(program, type)
    assert found is not None
    return found


@contextmanager
def prepared(lab: Lab) -> Iterator[Weather]:
    """Have the router of a lab be capable of bad weather while the block runs. Single segments cross it then, whose
    checksums are complete: each is lost alone, and the relay can send it on."""
    with ExitStack() as stack:
        programs = _loaded()
        for program in programs:
            stack.callback(os.close, program)
        for port in PORTS:
            _offload(lab, port, "off")
            stack.callback(_offload, lab, port, "on")
        pair = f"link add {OUT} type veth peer name {RELAY}"
        up = [f"link set {name} arp off addrgenmode none up" for name in (OUT, RELAY)]
        run(lab, "router", ["ip", "-batch", "-"], stdin="\n".join([pair, *up]))
        stack.callback(run, lab, "router", ["ip", "link", "del", OUT])
        links, index = _inside(lab, lambda: _attached(*programs))
        for link in links:
            stack.callback(os.close, link)  # which detaches
        relay = Relay(_inside(lab, _packet_socket))
        stack.callback(relay.close)
        weather = Weather(programs[0], index)
        stack.callback(weather.close)
        yield weather


def _loaded() -> tuple[int, int]:
    wanted = [Wanted(name, SCHED_CLS) for name in ("weather", "released")]
    loaded = image.load(image_of(SOURCE, wanted, CACHE), wanted, CACHE, (), {})
    return loaded["weather"], loaded["released"]


def _offload(lab: Lab, place: str, how: str) -> None:
    run(lab, place, ["ethtool", "-K", "eth0", *(word for name in OFFLOADS for word in (name, how))])


def _attached(weather: int, released: int) -> tuple[list[int], int]:
    """Links to the ports and to where the relay hands back; the index of the device that leads to the relay."""
    index = socket.if_nametoindex(OUT)
    links = [bpf.link_create(released, index, bpf.AttachType.TCX_INGRESS)]
    for port in map(socket.if_nametoindex, PORTS):
        assert port < 1 << 12, "PORT_MASK of weather.c"
        links.append(bpf.link_create(weather, port, bpf.AttachType.TCX_INGRESS))
    return links, index


def _packet_socket() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
    made.bind((RELAY, _ETH_P_IP))
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVMARK, 1)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
    made.setblocking(False)
    return made


def _inside(lab: Lab, make: Callable[[], T]) -> T:
    """What is made in the router's network namespace: setns moves one thread, which ends with it."""
    made: list[T | OSError | AssertionError] = []

    def there() -> None:
        try:
            enter.enter_netns(str(lab.netns("router")))
            made.append(make())
        except (OSError, AssertionError) as error:
            made.append(error)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


class Relay:
    """Keeps each frame for a time of its own and sends it back, with the mark that it came with."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._delays = random.Random(0)
        self._end, self._ending = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        os.close(self._ending)
        self._thread.join()
        os.close(self._end)
        self._sock.close()

    def _run(self) -> None:
        kept: list[tuple[float, int, bytes, bytes]] = []  # when to send, its number, frame, mark
        count = 0
        while True:
            wait = max(0.0, kept[0][0] - time.monotonic()) if kept else None
            ready = select.select([self._sock.fileno(), self._end], [], [], wait)[0]
            if self._end in ready:
                return
            if self._sock.fileno() in ready:
                frame, notes, _, _ = self._sock.recvmsg(65536, socket.CMSG_SPACE(4))
                mark = next((data for _, kind, data in notes if kind == _SO_MARK), bytes(4))
                count += 1
                heapq.heappush(kept, (time.monotonic() + self._delays.uniform(*DELAY), count, frame, mark))
            while kept and kept[0][0] <= time.monotonic():
                _, _, frame, mark = heapq.heappop(kept)
                self._sock.sendmsg([frame], [(socket.SOL_SOCKET, _SO_MARK, mark)])
