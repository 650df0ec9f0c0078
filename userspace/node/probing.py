"""An L4 node's word on its VIPs' targets: the checker connects to addresses that the datapath takes for targets.

To the checker a VIP is an upstream and each of its targets an endpoint at its probe address (bpf/lib/probe.h), so
probes leave as clients' packets do. To everybody else targets have their own names again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from control.model.keys import PREFIXES
from control.model.vip import Check
from userspace.config.compile_datapath import TargetPlan
from userspace.config.settings import Settings
from userspace.net import join_host_port
from userspace.node.checking import Checking
from userspace.wire import Message

SHOWN: Final = "vips/"  # before a VIP's id, where upstreams have theirs
MAX_DOWN: Final = 20  # targets of one VIP that a report names; all are counted
_KEY: Final = PREFIXES["upstream"]

Checks = Mapping[str, tuple[Check, tuple[TargetPlan, ...]]]


class Probing:
    """`changed()` is called when other targets fail than before."""

    def __init__(self, settings: Settings, user: str | None, changed: Callable[[], None]) -> None:
        self._objects: dict[str, bytes] = {}
        self._revision = 0
        self._places: dict[str, TargetPlan] = {}  # by probe address, also of targets that are gone
        self._checks: Checks = {}
        self._named: Mapping[str, Mapping[tuple[str, int], TargetPlan]] = {}  # by VIP, as the verdicts name them
        self._addresses: Mapping[TargetPlan, str] = {}
        self._changed = changed
        self.checking = Checking(settings, user, self._tell, lambda: (self._revision, self._objects), self)

    def want(self, checks: Checks, addresses: Mapping[TargetPlan, str]) -> None:
        """Check exactly these. addresses: the probe address of each target."""
        self._checks, self._addresses = checks, addresses
        self._named = {id: {(host_of(p), p.port): p for p in places} for id, (_, places) in checks.items()}
        self._places |= {address: place for place, address in addresses.items()}
        wanted = {
            _KEY + id: _upstream(check, [addresses[p] for p in places], places)
            for id, (check, places) in checks.items()
        }
        changes: list[tuple[str, bytes | None]] = [(key, None) for key in self._objects.keys() - wanted.keys()]
        changes += [(key, value) for key, value in wanted.items() if self._objects.get(key) != value]
        self._objects = wanted
        self._revision += 1
        if changes:
            self.checking.changes(self._revision, changes)

    @property
    def failing(self) -> frozenset[TargetPlan]:
        """Targets that did not answer. A target is one address and port: what one VIP's check finds counts for all."""
        found = set()
        for endpoint in self.checking.verdicts:
            named = self._named.get(endpoint.upstream.removeprefix(SHOWN), {})
            if not endpoint.is_up and (endpoint.ip, endpoint.port) in named:
                found.add(named[endpoint.ip, endpoint.port])
        return frozenset(found)

    def reported(self) -> dict[str, dict[str, Any]]:
        """Return what the control plane is told of each VIP that is checked: how many of its targets are up, of how
        many that are asked, and the first that are not."""
        failing = self.failing
        found = {}
        for id, named in self._named.items():
            down = [join_host_port(*name) for name, place in named.items() if place in failing]
            found[id] = {"up": len(named) - len(down), "checked": len(named), "down": down[:MAX_DOWN]}
        return found

    def _tell(self, message: Message) -> None:
        if message["type"] == "down":
            self._changed()

    # What the checker says, in the names of targets, and back (see Checking).

    def shown(self, row: Sequence[Any]) -> list[Any]:
        """Return a row, or the key of one that is gone, with the VIP's name and the target's."""
        place = self._places[row[1]]
        key = [SHOWN + row[0], host_of(place), place.port]
        if len(row) == len(key):
            return key
        return [*key, key[1], [join_host_port(key[1], place.port)], *row[5:]]

    def probed(self, row: Sequence[Any]) -> list[Any] | None:
        """Return a row as the checker had said it; None when its target is not checked any more."""
        id = row[0].removeprefix(SHOWN)
        place = self._named.get(id, {}).get((row[1], row[2]))
        if place is None:
            return None
        return [id, self._addresses[place], self._checks[id][0].port or place.port, *row[3:]]


def host_of(place: TargetPlan) -> str:
    """Return a target's address as people read it: "VNI/address" in a VPC."""
    return f"{place.vni}/{place.address}" if place.vni else place.address


def _upstream(check: Check, addresses: Sequence[str], places: Sequence[TargetPlan]) -> bytes:
    """Return a VIP as an upstream, in JSON. All kinds of failure of a connection count alike."""
    active: dict[str, Any] = {
        "type": "tcp",
        "timeout": check.timeout,
        "healthy": {"interval": check.interval, "successes": check.rise},
        "unhealthy": {"interval": check.interval, "tcp_failures": check.fall, "timeouts": check.fall},
    }
    if check.port:
        active["port"] = check.port
    nodes = [{"host": a, "port": p.port, "weight": 1} for a, p in zip(addresses, places, strict=True)]
    return json.dumps({"type": "roundrobin", "nodes": nodes, "checks": {"active": active}}).encode()
