"""What the region's control plane must know of it: nodes, VPCs and VIPs, through the Admin API."""

import json
from http.client import HTTPException
from typing import Any

from userspace.lab.apply import LabError
from userspace.lab.client import Reply, request
from userspace.lab.lab import Lab
from userspace.lab.topology import Machine, Topology

ADMIN_PORT = 9180


def objects(t: Topology) -> list[tuple[str, dict[str, Any]]]:
    """(path, body) of every object, in the order in which they may be put: what is referred to comes first."""
    nodes = [(f"/unilb/nodes/{m.name}", _node(m)) for m in t.of_role("l4", "gateway")]
    vpcs = [
        (
            f"/unilb/vpcs/{vpc.name}",
            {
                "vni": vpc.vni,
                "cidr": str(vpc.cidr),
                "mtu": vpc.mtu,
                "endpoints": {
                    str(vm.address): {"vtep": str(vpc.vtep(t.machines[vm.host])), "mac": vm.mac}
                    for vm in t.vms.values()
                    if vm.vpc == vpc.name
                },
            },
        )
        for vpc in t.vpcs.values()
    ]
    vips = [
        (
            f"/unilb/vips/{vip.name}",
            {
                "address": str(vip.address),
                "port": vip.port,
                "protocol": vip.protocol,
                "targets": [{"node": target, "port": vip.target_port} for target in vip.targets],
            },
        )
        for vip in t.vips.values()
    ]
    return [*nodes, *vpcs, *vips]


def _node(m: Machine) -> dict[str, Any]:
    address6 = {"address6": str(m.address6)} if m.address6 else {}
    return {
        "role": m.role,
        "zone": m.zone,
        "address": str(m.address),
        **address6,
        "laddrs": [str(laddr) for laddr in m.laddrs],
    }


def admin(lab: Lab, method: str, path: str, body: Any = None, *, timeout: float = 10) -> Reply:
    """Call the Admin API with the lab's key, on the machine that serves it. Raises OSError, HTTPException."""
    control = lab.topology.control
    return request(
        lab,
        control.name,
        method,
        f"http://{control.address}:{ADMIN_PORT}{path}",
        body=None if body is None else json.dumps(body).encode(),
        headers={"X-API-KEY": lab.admin_key.read_text(), "Content-Type": "application/json"},
        timeout=timeout,
    )


def publish(lab: Lab) -> None:
    """Put every object of the topology. Raises LabError with the Admin API's answer for the first that is refused."""
    for path, body in objects(lab.topology):
        try:
            reply = admin(lab, "PUT", path, body)
        except (OSError, HTTPException) as error:
            raise LabError(f"PUT {path}: the Admin API does not answer: {error!r}") from error
        if reply.status not in (200, 201):
            raise LabError(f"PUT {path}: {reply.status} {reply.body.decode(errors='replace').strip()}")
