"""What a node is told when it starts."""

from dataclasses import dataclass, replace
from pathlib import Path

from control.model.encryption import Keyring
from control.model.node import Node
from userspace.config.settings import Settings
from userspace.node.forwarding import ForwardingSettings


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """listen: (host, port) of the gateway's listeners, listen_tls, listen_stream: of those for TLS
    and for streams. metrics: likewise, or None.
    user: whom workers run as. keyring: what secrets of the store are encrypted with; None: with nothing."""

    id: str
    listen: tuple[tuple[str, int], ...]
    workers: int
    metrics: tuple[str, int] | None
    user: str | None
    run_dir: Path
    worker: Settings
    forwarding: ForwardingSettings | None
    keyring: Keyring | None = None
    listen_tls: tuple[tuple[str, int], ...] = ()
    listen_stream: tuple[tuple[str, int], ...] = ()

    def worker_of(self, me: Node | None) -> Settings:
        """Return the settings of workers on the node `me`, if the store knows it: they stand in its zone."""
        return self.worker if self.worker.zone or me is None else replace(self.worker, zone=me.zone)
