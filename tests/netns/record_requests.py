"""An endpoint that keeps every byte of each connection: `python record_requests.py PORT DIRECTORY`, a file for each.

It answers every request that it understands, with `SPLICED` when no proxy has touched it, else with `DECIDED`.
"""

import asyncio
import itertools
import sys
from pathlib import Path

SPLICED, DECIDED = b"spliced", b"decided"
END = b"\r\n\r\n"


def field(head: bytes, name: bytes) -> list[bytes]:
    """The values of a header field, blanks taken off."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return [value.strip() for key, _, value in lines if key.lower() == name]


def requests_in(stream: bytes) -> tuple[list[bytes], bool, bytes]:
    """The heads of a stream of requests, whether the last one's body is there, and what belongs to none of them: a part
    of a head, or what follows a head that does not say how long it is."""
    heads, at = [], 0
    while (end := stream.find(END, at)) >= 0:
        start, at = at, end + len(END)
        heads.append(stream[start:at])
        after = _body(stream, at, heads[-1])
        if after is None:
            return heads, False, stream[at:]
        if after > len(stream):
            return heads, False, b""
        at = after
    return heads, True, stream[at:]


def _body(stream: bytes, at: int, head: bytes) -> int | None:
    """Where the body that begins at `at` ends, beyond the stream when it is not all there; None when nobody can say."""
    lengths, codings = field(head, b"content-length"), field(head, b"transfer-encoding")
    if codings:
        return _chunked(stream, at) if codings == [b"chunked"] and not lengths else None
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        return None
    return at + sum(map(int, lengths))


def _chunked(stream: bytes, at: int) -> int:
    while (line := stream.find(b"\r\n", at)) >= 0:
        size = int(stream[at:line].partition(b";")[0], 16)
        at = line + 2 + size + 2
        if size == 0:
            return at
    return len(stream) + 1


async def main(port: int, directory: Path) -> None:
    numbers = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream, answered = b"", 0
        with Path(directory, str(next(numbers))).open("wb", buffering=0) as file:  # noqa: ASYNC230 - one write a packet
            try:
                while data := await reader.read(65536):
                    file.write(data)
                    stream += data
                    heads, is_whole, _ = requests_in(stream)
                    heads = heads[: None if is_whole else -1]
                    for head in heads[answered:]:
                        body = DECIDED if field(head, b"x-forwarded-for") else SPLICED
                        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + body)
                    answered = len(heads)
            except (OSError, ValueError):
                pass
            finally:
                writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
