"""The lab as a table: every machine and VM, its addresses, and how its services are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from userspace.lab import services
from userspace.lab.apply import LabError, existing_namespaces
from userspace.lab.lab import Lab
from userspace.lab.services import Service

HEADINGS = ("machine", "role", "addresses", "service", "pid", "health")


@dataclass(frozen=True, slots=True)
class Row:
    """One service of a machine, or a machine without any. `health`: ok, or why not."""

    machine: str
    role: str
    addresses: str
    service: str
    pid: int | None
    health: str

    @property
    def ok(self) -> bool:
        return self.health == "ok"


def rows(lab: Lab) -> list[Row]:
    """Machines in the order of the topology, VMs after them."""
    there = existing_namespaces()
    t = lab.topology
    places: list[tuple[str, str, str]] = [
        (m.name, m.role, ", ".join(map(str, m.addresses.values()))) for m in t.machines.values()
    ]
    places += [(vm.name, f"vm of {vm.vpc} on {vm.host}", str(vm.address)) for vm in t.vms.values()]
    running = services.services(lab) if lab.admin_key.exists() else ()
    found = []
    for place, role, addresses in places:
        netns = lab.netns(place)
        if netns and netns.name not in there:
            found.append(Row(place, role, addresses, "-", None, "no namespace"))
            continue
        own = [s for s in running if s.place == place]
        found += [_row(lab, place, role, addresses, s) for s in own] or [Row(place, role, addresses, "-", None, "ok")]
    return found


def _row(lab: Lab, place: str, role: str, addresses: str, service: Service) -> Row:
    process = services.running(lab, service)
    if process is None:
        return Row(place, role, addresses, service.name, None, "not running")
    try:
        health = services.unready(lab, service) or "ok"
    except LabError as error:
        health = str(error)
    return Row(place, role, addresses, service.name, process.pid, health)


def table(found: Iterable[Row]) -> str:
    """Aligned columns; a machine's name, role and addresses stand in its first row only."""
    lines: list[Sequence[str]] = [HEADINGS]
    last = None
    for row in found:
        who = (row.machine, row.role, row.addresses) if row.machine != last else ("", "", "")
        lines.append((*who, row.service, str(row.pid or "-"), row.health))
        last = row.machine
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
