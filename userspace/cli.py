"""`unilb`: one program. Here the parts meet; a subcommand's module is imported when it is asked for, and only then."""

import argparse
import importlib
import sys
from collections.abc import Sequence

# name: (module, with add_parser(subparsers) setting run=callable(args) -> exit status; help)
COMMANDS = {
    "control": ("control.server", "serve the Admin API"),
    "node": ("userspace.node.daemon", "run a gateway or an L4 node"),
    "run": ("userspace.run", "gateway and Admin API on one machine, no root"),
    "ctl": ("control.ctl.cli", "read and change the configuration"),
    "drops": ("userspace.node.drops_cli", "packets that the datapath drops, live"),
    "top": ("userspace.node.top_cli", "which connections move most, live"),
    "sessions": ("userspace.node.sessions_cli", "the FNAT sessions of this machine"),
    "toa": ("userspace.node.toa_cli", "show servers on this machine the client behind an L4 node"),
    "lab": ("userspace.lab.cli", "the region on this machine, out of network namespaces"),
    "doctor": ("userspace.node.doctor", "what this machine lacks, and the command that mends it"),
}


def parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser with all of the chosen subcommand and the names of the others."""
    top = argparse.ArgumentParser(prog="unilb", description="Unified layer-7 load balancer for hybrid clouds.")
    subparsers = top.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        if name == chosen:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    args = parser(chosen).parse_args(arguments)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
