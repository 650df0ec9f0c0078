"""A kernel's TCP server, and a client made of packets on a tun device: `python toa_server.py CGROUP PEER TOA ...`.

Runs in a network namespace of its own, as a member of CGROUP. For each TOA (hex of an option, or "-" for none) PEER
opens a connection whose segments carry it; a line is printed with what accept() and getpeername() say.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

from scapy.layers.inet import IP, TCP  # type: ignore[import-untyped]
from scapy.packet import Raw  # type: ignore[import-untyped]

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SERVER = "10.99.0.1"


def tun() -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"toa0", IFF_TUN | IFF_NO_PI))
    for command in ("link set lo up", f"addr add {SERVER}/24 dev toa0", "link set toa0 up"):
        subprocess.run(["ip", *command.split()], check=True)
    return fd


def connect(fd: int, peer: str, port: int, sport: int, option: bytes) -> None:
    """The handshake of a client whose every segment carries `option`."""
    options = option + b"\1" * (-len(option) % 4)
    offset = 5 + len(options) // 4

    def send(flags: str, seq: int, ack: int) -> None:
        head = IP(src=peer, dst=SERVER) / TCP(sport=sport, dport=port, flags=flags, seq=seq, ack=ack, dataofs=offset)
        os.write(fd, bytes(head / Raw(options)))

    send("S", 1000, 0)
    while True:
        answer = IP(os.read(fd, 2048))  # the kernel's own IPv6 chatter among it
        if answer.version == 4 and TCP in answer and answer[TCP].dport == sport and answer[TCP].flags == "SA":
            break
    send("A", 1001, answer[TCP].seq + 1)


def main(cgroup: str, peer: str, *options: str) -> None:
    (Path(cgroup) / "cgroup.procs").write_text(str(os.getpid()))
    fd = tun()
    listener = socket.create_server((SERVER, 0))
    for number, option in enumerate(options):
        connect(fd, peer, listener.getsockname()[1], 4000 + number, b"" if option == "-" else bytes.fromhex(option))
        accepted, address = listener.accept()
        print(*address, *accepted.getpeername(), flush=True)
        accepted.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
