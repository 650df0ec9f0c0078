"""Messages between a node and its workers: 4 bytes of length (big-endian), then one JSON object.

Sans-io: `encode` gives the bytes of one message, `Decoder` turns received bytes back into messages. The peer is our own
process, so a malformed message is a bug or a broken socket and never worth resynchronising: `WireError` ends the wire.
"""

from collections.abc import Mapping
from typing import Any

import orjson

MAX_MESSAGE_BYTES = 256 << 20  # a snapshot of 100,000 routes takes about 60 MiB
_LENGTH_BYTES = 4

Message = dict[str, Any]


class WireError(Exception):
    """The bytes on the wire are not a message; names what was found."""


def encode(message: Mapping[str, object]) -> bytes:
    """Return the bytes of one message. Raises WireError when it is longer than MAX_MESSAGE_BYTES."""
    payload = orjson.dumps(message)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError(f"message of {len(payload)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


class Decoder:
    """Cuts a byte stream into messages. Holds at most one incomplete message."""

    __slots__ = ("_buffer", "_limit", "_wanted")

    def __init__(self, limit: int = MAX_MESSAGE_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._wanted = _LENGTH_BYTES

    @property
    def idle(self) -> bool:
        """True between two messages: an end of stream here is clean."""
        return not self._buffer

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages completed by `data`, in order. Raises WireError: over the limit, or not JSON."""
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._wanted:
            return []
        messages = []
        start = 0
        while True:
            self._wanted = _LENGTH_BYTES
            if len(buffer) - start < _LENGTH_BYTES:
                break
            size = int.from_bytes(buffer[start : start + _LENGTH_BYTES], "big")
            if size > self._limit:
                raise WireError(f"message of {size} bytes is over the limit of {self._limit}")
            end = start + _LENGTH_BYTES + size
            if len(buffer) < end:
                self._wanted = _LENGTH_BYTES + size
                break
            messages.append(_parse(buffer[start + _LENGTH_BYTES : end]))
            start = end
        del buffer[:start]
        return messages


def _parse(payload: bytearray) -> Message:
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise WireError(f"message is not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise WireError("message is not an object with a type")
    return message
