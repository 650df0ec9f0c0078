"""Upstreams with checks, for the tests of this folder."""

from typing import Any

from control.model.upstream import Upstream
from userspace.health.targets import Target, targets_of


def upstream(nodes: dict[str, int], id: str = "u", passive: dict[str, Any] | None = None, **more: Any) -> Upstream:
    """An upstream whose `checks.active` is `more`."""
    checks = {"active": more, **({"passive": passive} if passive is not None else {})}
    return Upstream.from_json({"nodes": nodes, "checks": checks}, id)


def target(address: str, **active: Any) -> Target:
    """The target of an upstream with this one endpoint."""
    (found,) = targets_of(upstream({address: 1}, **active)).values()
    return found
