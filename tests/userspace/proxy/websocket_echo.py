"""An echo server of WebSocket messages that answers in the order of what it reads, whatever comes in one segment.

`websockets`' own server reads all that has come before a task of its echoes: behind a message, a broken frame may
close the connection before the echo was sent, or not. This one, on the same codec, echoes a message before it reads
the byte behind it.
"""

import asyncio
import codecs
from collections.abc import Iterator
from typing import cast

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

ONE_BY_ONE = 4096  # bytes: what is longer is one message of a case about long ones


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.codec = ServerProtocol(max_size=32 << 20, extensions=[ServerPerMessageDeflateFactory()])
        self.parts: list[bytes] = []
        self.is_text = False

    def data_received(self, data: bytes) -> None:
        for piece in pieces(data):
            self.codec.receive_data(piece)
            self.answer()

    def eof_received(self) -> bool:
        self.codec.receive_eof()
        self.answer()
        return True

    def answer(self) -> None:
        for event in self.codec.events_received():
            if isinstance(event, Request):
                self.codec.send_response(self.codec.accept(event))
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self.take(event)
        for out in self.codec.data_to_send():
            if out:
                self.transport.write(out)
            else:  # the codec's word for the end
                self.transport.close()

    def take(self, frame: Frame) -> None:
        """A part of a message, or its last one. RFC 6455 section 8.1: text is UTF-8, or the connection fails."""
        if frame.opcode is not Opcode.CONT:
            self.is_text = frame.opcode is Opcode.TEXT
            self.decoder = codecs.getincrementaldecoder("utf-8")()
        if self.is_text:
            try:
                self.decoder.decode(frame.data, frame.fin)
            except UnicodeDecodeError as error:
                self.codec.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
                return
        self.parts.append(bytes(frame.data))
        if frame.fin and self.codec.state is State.OPEN:
            whole, self.parts = b"".join(self.parts), []
            (self.codec.send_text if self.is_text else self.codec.send_binary)(whole)


def pieces(data: bytes) -> Iterator[bytes]:
    if len(data) > ONE_BY_ONE:
        yield data
    else:
        yield from (data[at : at + 1] for at in range(len(data)))
