"""The Date of answers (RFC 9110 section 6.6.1), written once a second."""

from collections.abc import Callable
from email.utils import formatdate
from time import time


class Dates:
    """`clock` gives seconds since 1970."""

    __slots__ = ("_clock", "_line", "_second", "_value")

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._second = -1
        self._value = b""
        self._line = b""

    @property
    def value(self) -> bytes:
        """The value of a Date field now."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._value = formatdate(second, usegmt=True).encode("ascii")
            self._line = b"Date: " + self._value + b"\r\n"
        return self._value

    @property
    def line(self) -> bytes:
        """The whole field line."""
        assert self.value
        return self._line
