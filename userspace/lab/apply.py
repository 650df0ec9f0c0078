"""Steps become commands: neighbouring lines for one tool in one namespace go to one process."""

import contextlib
import json
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from userspace.lab.plan import Step, Tool, namespace

NETNS_DIRECTORY = Path("/run/netns")


class LabError(Exception):
    """The lab could not do what was asked; the text is for people."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One process: `argv` with `lines` on standard input. `netns` None: where the caller is."""

    tool: Tool
    netns: str | None
    lines: tuple[str, ...]

    @property
    def argv(self) -> list[str]:
        inside = ["-n", self.netns] if self.netns else []
        enter = ["nsenter", f"--net={NETNS_DIRECTORY / self.netns}"] if self.netns else []
        match self.tool:
            case "netns":
                return ["ip", "-batch", "-"]
            case "ip" | "bridge":
                return [self.tool, *inside, "-batch", "-"]
            case "sysctl":
                return [*enter, "sysctl", "-q", "-p", "-"]
            case "nft":
                return [*enter, "nft", "-f", "-"]
            case "ethtool":
                return [*enter, "xargs", "-L1", "ethtool"]

    def script(self) -> str:
        """The same as shell text."""
        body = "\n".join(self.lines)
        return f"{shlex.join(self.argv)} <<'END'\n{body}\nEND\n"


def batches(steps: Iterable[Step], netns_of: Callable[[Step], str | None]) -> Iterator[tuple[Batch, tuple[Step, ...]]]:
    """Group steps, keeping their order; yields each batch with the steps it came from."""

    def place(step: Step) -> tuple[Tool, str | None]:
        return step.tool, None if step.tool == "netns" else netns_of(step)

    for (tool, netns), group in groupby(steps, key=place):
        members = tuple(group)
        yield Batch(tool, netns, tuple(s.line for s in members)), members


def in_lab(lab: str) -> Callable[[Step], str | None]:
    """Where steps run in the namespaces lab: each machine and each VM in its own namespace."""
    return lambda step: namespace(lab, step.vm or step.machine)


def in_machine(lab: str) -> Callable[[Step], str | None]:
    """Where steps run on a real or virtual machine: right here, except the VMs on it."""
    return lambda step: namespace(lab, step.vm) if step.vm else None


def apply(steps: Iterable[Step], netns_of: Callable[[Step], str | None]) -> None:
    """Run what is not there yet. Raises LabError with the tool's own words."""
    for batch, members in batches(steps, netns_of):
        lines = tuple(batch.lines)
        if any(step.creates for step in members):
            there = existing_namespaces() if batch.tool == "netns" else _devices(batch.netns)
            members = tuple(step for step in members if step.creates not in there)
            lines = tuple(step.line for step in members)
            if batch.tool == "netns":
                _remove_remains(members)
        if lines:
            _run(Batch(batch.tool, batch.netns, lines))


def existing_namespaces() -> set[str]:
    """Names under which `ip netns` knows a live namespace."""
    with contextlib.suppress(FileNotFoundError):
        device = NETNS_DIRECTORY.stat().st_dev
        return {path.name for path in NETNS_DIRECTORY.iterdir() if path.stat().st_dev != device}
    return set()


def _remove_remains(members: Iterable[Step]) -> None:
    """An `ip netns add` that was killed leaves a plain file, which the next one would stumble over."""
    for step in members:
        if step.creates:
            (NETNS_DIRECTORY / step.creates).unlink(missing_ok=True)


def _devices(netns: str | None) -> set[str]:
    inside = ["-n", netns] if netns else []
    found = subprocess.run(["ip", *inside, "-j", "link", "show"], capture_output=True, check=True)
    return {link["ifname"] for link in json.loads(found.stdout or b"[]")}


def _run(batch: Batch) -> None:
    try:
        done = subprocess.run(batch.argv, input="\n".join(batch.lines) + "\n", capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LabError(f"{error.filename} is not installed; `unilb doctor` says how to mend it") from error
    if done.returncode:
        where = batch.netns or "this machine"
        text = (done.stderr or done.stdout).strip()
        raise LabError(f"{shlex.join(batch.argv)} failed in {where}: {text}\n" + _numbered(batch.lines))


def _numbered(lines: Iterable[str]) -> str:
    return "\n".join(f"{number:5}  {line}" for number, line in enumerate(lines, 1))
