"""An endpoint that halts in the middle of its answers, as long as it is told to: run as a program, on PORT.

GET /shut, /open: from now on it halts, or goes on. The others: ANSWERS, each of two parts.
"""

import socket
import threading

PORT = 9001
HALF = b"0123456789abcdef" * 64
LENGTH = (b"HTTP/1.1 200 OK\r\nContent-Length: 2048\r\n\r\n" + HALF, HALF)
CHUNKED = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + HALF + b"\r\n", b"1\r\n!\r\n0\r\n\r\n")
LONG = (LENGTH[0].replace(b"\r\n", b"\r\nSet-Cookie: " + b"c" * 1900 + b"\r\n", 1), HALF)
HEADS = (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 2048\r\n\r\n" + HALF + HALF)
PLAIN = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",)
ANSWERS = {b"/length": LENGTH, b"/chunked": CHUNKED, b"/long": LONG, b"/heads": HEADS}


def serve(sock: socket.socket, gate: threading.Event) -> None:
    unread = b""
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := sock.recv(65536):
            unread += data
            while b"\r\n\r\n" in unread:
                head, _, unread = unread.partition(b"\r\n\r\n")
                target = head.split(b" ")[1]
                if target == b"/shut":
                    gate.clear()
                elif target == b"/open":
                    gate.set()
                first, *rest = ANSWERS.get(target, PLAIN)
                sock.sendall(first)
                for part in rest:
                    gate.wait()
                    sock.sendall(part)


def main() -> None:
    gate = threading.Event()
    gate.set()
    with socket.create_server(("", PORT)) as listening:
        while True:
            sock, _ = listening.accept()
            threading.Thread(target=serve, args=(sock, gate), daemon=True).start()


if __name__ == "__main__":
    main()
