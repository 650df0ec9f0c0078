"""What a node is told when it starts."""

from dataclasses import dataclass
from pathlib import Path

from userspace.config.settings import Settings
from userspace.node.forwarding import ForwardingSettings


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """listen: (host, port) of the gateway's listeners. metrics: likewise, or None. user: whom workers run as."""

    id: str
    listen: tuple[tuple[str, int], ...]
    workers: int
    metrics: tuple[str, int] | None
    user: str | None
    run_dir: Path
    worker: Settings
    forwarding: ForwardingSettings | None
