"""LbError: what failed, on whose side, and whether trying again can help."""

from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """Whose side failed."""

    CLIENT = "client"
    UPSTREAM = "upstream"
    INTERNAL = "internal"


class Retry(Enum):
    """Whether another try may succeed where this one failed."""

    NEVER = "never"
    ALWAYS = "always"


@dataclass(slots=True)
class LbError(Exception):
    """`kind` is a stable word for metrics and logs (connect_refused, read_timeout, ...); `detail` is for people."""

    kind: str
    source: Source
    retry: Retry
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.source.value}: {self.kind}" + (f": {self.detail}" if self.detail else "")
