"""One machine of the region, configured from inside: what Vagrant's provisioning runs in every virtual machine."""

import json
import subprocess

from userspace.lab import plan, services
from userspace.lab.apply import LabError, apply, batches, in_machine
from userspace.lab.lab import Lab
from userspace.lab.lock import locked
from userspace.lab.topology import Machine
from userspace.lab.up import prepare, require_root


def nics_here(machine: Machine, ip_json: str) -> dict[str, str]:
    """Segment -> device, found by the machine's addresses in the output of `ip -j -4 address`. Raises LabError."""
    holders = {
        info["local"]: link["ifname"]
        for link in json.loads(ip_json)
        for info in link.get("addr_info", ())
        if "local" in info
    }
    missing = [str(address) for address in machine.addresses.values() if str(address) not in holders]
    if missing:
        raise LabError(f"this is not {machine.name}: no interface has {', '.join(missing)}")
    return {segment: holders[str(address)] for segment, address in machine.addresses.items()}


def take(lab: Lab, machine: Machine) -> None:
    """Configure this machine and start its services; repeating it repairs what is missing. Raises LabError."""
    require_root()
    with locked(lab.state):
        prepare(lab)
        apply(_steps(lab, machine), in_machine(lab.name))
        services.up(lab)


def script(lab: Lab, machine: Machine) -> str:
    """The commands of `take` as shell text, services apart."""
    return "".join(batch.script() for batch, _ in batches(_steps(lab, machine), in_machine(lab.name)))


def _steps(lab: Lab, machine: Machine) -> list[plan.Step]:
    found = subprocess.run(["ip", "-j", "-4", "address"], capture_output=True, text=True, check=True).stdout
    return plan.configure(lab.topology, machine, nics_here(machine, found), lab.name)
