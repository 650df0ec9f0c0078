"""`unilb lab`: the region on one machine, out of network namespaces."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from userspace.lab import demo, role, services, status, topology
from userspace.lab import exec as lab_exec
from userspace.lab.apply import LabError
from userspace.lab.down import down
from userspace.lab.fields import TopologyError
from userspace.lab.lab import Lab, state_directory
from userspace.lab.propagation import measure
from userspace.lab.up import require_root, up

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: "Subparsers") -> None:
    parser = subparsers.add_parser("lab", help="the region on this machine, out of network namespaces")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--topology", type=Path, help="default: what the lab was built from, else vagrant/topology.yaml"
    )
    common.add_argument(
        "--name", default="unilb", help="of the lab, to have several beside each other (default: %(default)s)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("up", parents=[common], help="build what is missing, start what does not run")
    one.add_argument(
        "--only",
        action="append",
        choices=("fabric", *services.NAMES),
        help="no services but these (repeatable; fabric: none at all)",
    )
    one.set_defaults(act=_up)
    one = commands.add_parser("down", parents=[common], help="remove everything, whatever state it is in")
    one.set_defaults(act=_down)
    one = commands.add_parser(
        "status", parents=[common], help="machines, addresses, services; exit 1 unless all are well"
    )
    one.set_defaults(act=_status)
    one = commands.add_parser("exec", parents=[common], help="run a command in a machine or VM")
    one.add_argument("machine")
    one.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND...")
    one.set_defaults(act=_exec)
    one = commands.add_parser("demo", parents=[common], help="build the region and watch requests on three paths")
    one.add_argument("--once", action="store_true", help="tear down afterwards; exit 1 if a path failed")
    one.set_defaults(act=_demo, only=None)
    one = commands.add_parser("role", parents=[common], help="on a virtual machine: make it one of the region")
    one.add_argument("machine")
    one.add_argument("--print", action="store_true", dest="show", help="show the commands, run none")
    one.set_defaults(act=_role)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"  # `su` alone leaves these out
    try:
        return int(args.act(args))
    except (LabError, TopologyError, OSError) as error:
        print(f"unilb lab: {error}", file=sys.stderr)
        return 1


def _lab(args: argparse.Namespace, here: str | None = None) -> Lab:
    kept = state_directory(args.name) / "topology.yaml"
    path = args.topology or (kept if kept.exists() else topology.DEFAULT_PATH)
    return Lab(topology.load(path), args.name, here)


def _up(args: argparse.Namespace) -> int:
    lab = Lab(topology.load(args.topology or topology.DEFAULT_PATH), args.name)
    up(lab, services.NAMES if args.only is None else args.only)
    print(f"lab {lab.name} is up: {len(lab.places)} machines; state in {lab.state}")
    return 0


def _down(args: argparse.Namespace) -> int:
    require_root()
    down(args.name, topology.load(args.topology or topology.DEFAULT_PATH))
    return 0


def _status(args: argparse.Namespace) -> int:
    found = status.rows(_lab(args))
    print(status.table(found))
    return 0 if all(row.ok for row in found) else 1


def _exec(args: argparse.Namespace) -> int:
    require_root()
    words = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not words:
        raise LabError("exec: which command?")
    argv = lab_exec.command(_lab(args), args.machine, words)
    sys.stdout.flush()
    os.execv(argv[0], argv)


def _demo(args: argparse.Namespace) -> int:
    _up(args)
    lab = _lab(args)
    try:
        demo.publish_paths(lab)
        demo.wait_until_routed(lab)
        outcomes = [demo.observe(lab, way) for way in demo.ways(lab)]
        print("\n" + demo.table(outcomes) + "\n")
        print(demo.describe(measure(lab, demo.CHANGES, demo.WORKERS)))
        if not args.once:
            print("\n" + demo.how_to_look(lab) + "\n\nThe region stays up until Ctrl-C.", flush=True)
            demo.wait_for_interrupt()
    finally:
        _down(args)
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def _role(args: argparse.Namespace) -> int:
    lab = _lab(args, here=args.machine)
    machine = lab.topology.machines.get(args.machine)
    if machine is None:
        raise LabError(f"no machine {args.machine!r} in the topology; there are: {', '.join(lab.topology.machines)}")
    if args.show:
        print(role.script(lab, machine), end="")
    else:
        role.take(lab, machine)
    return 0
