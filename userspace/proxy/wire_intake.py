"""The worker's end of the wire: messages in to the worker, messages out to the node."""

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import cast

from userspace import wire


class WireIntake(asyncio.Protocol):
    """Sends `greeting`, then calls `on_message` for each message. When the wire ends, for whatever reason, the worker
    goes on without it."""

    def __init__(
        self,
        greeting: Mapping[str, object],
        on_message: Callable[[wire.Message], None],
        on_trouble: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> None:
        self._greeting = greeting
        self._on_message = on_message
        self._on_trouble = on_trouble
        self._on_end = on_end
        self._decoder = wire.Decoder()
        self._transport: asyncio.Transport | None = None
        self._is_full = False

    @property
    def is_open(self) -> bool:
        """True while the node is there."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_clear(self) -> bool:
        """True while the node reads what we send; periodic messages wait otherwise."""
        return self.is_open and not self._is_full

    def send(self, message: Mapping[str, object]) -> None:
        """Send if the node is there."""
        if self._transport is not None and self.is_open:
            self._transport.write(wire.encode(message))

    def close(self) -> None:
        """Close once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.send(self._greeting)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except wire.WireError as error:
            self._on_trouble(f"wire: {error}")
            self.close()
            return
        for message in messages:
            try:
                self._on_message(message)
            except Exception as error:  # a fault of ours in one message must not cost us all that follow
                self._on_trouble(f"wire: {message.get('type')}: " + "".join(traceback.format_exception(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_end()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
