"""A process of ours with a wire: started, fed, and started again whenever it ends."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from userspace.wire import Decoder, Message, WireError, encode

log = logging.getLogger("unilb.node")

MAX_UNSENT_BYTES = 256 << 20  # as much as one message may have
RESTART_FIRST, RESTART_MOST = 0.1, 5.0  # seconds before a replacement, doubling with each death in a row
STEADY_AFTER = 10.0  # seconds of life after which a death no longer counts as in a row
STOP_WITHIN = 2.0  # seconds from SIGTERM to SIGKILL


class Child(asyncio.Protocol):
    """`module` is run with `arguments` and `--wire-fd`. `on_start` is called when it may be sent to, `on_message` with
    what it says, `on_end` when it has ended. One that leaves MAX_UNSENT_BYTES unread is killed and replaced."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        on_start: Callable[[], None],
        on_message: Callable[[Message], None],
        on_end: Callable[[], None],
    ) -> None:
        self.restarts = 0
        self.pid: int | None = None
        self._name = name
        self._argv = [sys.executable, "-m", module, *arguments]
        self._on_start = on_start
        self._on_message = on_message
        self._on_end = on_end
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Run it for as long as `stop` is not called."""
        loop = asyncio.get_running_loop()
        pause = RESTART_FIRST
        while not self._stopping.is_set():
            started = loop.time()
            code = await self._run()
            self._on_end()
            if self._stopping.is_set():
                return
            self.restarts += 1
            pause = RESTART_FIRST if loop.time() - started > STEADY_AFTER else min(pause * 2, RESTART_MOST)
            log.error("%s ended with %s: replacing it in %.1f s", self._name, reason(code), pause)
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Ask it to end, and end it."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def is_there(self) -> bool:
        return self._transport is not None

    def send(self, message: Message) -> None:
        """Send if it is there."""
        if self._transport is None:
            return
        self._transport.write(encode(message))
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.error("%s does not read what it is sent: replacing it", self._name)
            self._kill()

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._decoder.feed(data):
                self._on_message(message)
        except WireError as error:
            log.error("%s: %s", self._name, error)
            self._kill()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    async def _run(self) -> int:
        ours, theirs = socket.socketpair()
        argv = [*self._argv, "--wire-fd", str(theirs.fileno())]
        self._decoder = Decoder()
        self._process = process = await asyncio.create_subprocess_exec(
            *argv, pass_fds=[theirs.fileno()], start_new_session=True
        )
        self.pid = process.pid
        theirs.close()
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        self._transport = transport
        self._on_start()
        code = await process.wait()
        transport.close()
        self._transport = None
        return code

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


def reason(code: int) -> str:
    """An exit code in words."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
