"""`unilb ctl`: the Admin API from the command line.

Exit status: 0 done; 1 refused, not found, or (diff) different; 2 wrong usage, a file that cannot be read, nobody there.
"""

import argparse
import os
import sys

from control.ctl import commands
from control.ctl.backup import NotRestored
from control.ctl.client import Refused, Trouble
from control.ctl.completion import SHELLS, commands_of, script
from control.ctl.kinds import RANK
from control.store.base import StoreError

REFUSED, TROUBLE = 1, 2


def run(args: argparse.Namespace) -> int:
    """Carry out what the command line asks for; return the exit status."""
    try:
        return int(args.command(args, sys.stdout))
    except (Refused, NotRestored) as error:
        return _fail(str(error), REFUSED)
    except (Trouble, StoreError, ValueError) as error:
        return _fail(str(error), TROUBLE)
    except BrokenPipeError:
        # The reader, a pager, has seen enough. What is left must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except OSError as error:
        return _fail(f"{error.filename or ''}: {error.strerror}".lstrip(": "), TROUBLE)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `ctl` to the program's subcommands."""
    parser = subparsers.add_parser(
        "ctl",
        help="read and change the configuration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    server, output, file = _server_options(), _output_option(), _file_option()

    get = inner.add_parser("get", parents=[server, output], help="one object, or all of a kind")
    get.add_argument("kind", metavar="KIND", help=", ".join(RANK))
    get.add_argument("id", metavar="ID", nargs="?")
    get.set_defaults(command=commands.get)

    for name, text in (("apply", "make the server have what a file says"), ("import", "apply an export")):
        apply = inner.add_parser(name, parents=[server, file], help=text)
        apply.add_argument("--prune", action="store_true", help="delete what the file leaves out, of kinds it names")
        apply.add_argument("--force", action="store_true", help="write unchanged objects too, for hidden fields")
        apply.add_argument("--env", action="store_true", help="replace ${{NAME}} and ${{NAME:=default}}")
        apply.set_defaults(command=commands.apply)

    diff = inner.add_parser("diff", parents=[server, file], help="what apply would change")
    diff.add_argument("--prune", action="store_true", help="also what apply --prune would delete")
    diff.add_argument("--env", action="store_true", help="replace ${{NAME}} and ${{NAME:=default}}")
    diff.set_defaults(command=commands.diff)

    delete = inner.add_parser("delete", parents=[server], help="one object, or those in a file")
    delete.add_argument("kind", metavar="KIND", nargs="?")
    delete.add_argument("id", metavar="ID", nargs="?")
    delete.add_argument("-f", "--file", metavar="FILE", help='"-" is standard input')
    delete.add_argument("--force", action="store_true", dest="force_delete", help="even if something uses it")
    delete.set_defaults(command=commands.delete)

    export = inner.add_parser("export", parents=[server], help="everything, as YAML that import takes")
    export.set_defaults(command=commands.export)
    status = inner.add_parser("status", parents=[server, output], help="the store, and how far each node is")
    status.set_defaults(command=commands.status)

    _add_store_commands(inner)
    completion = inner.add_parser("completion", help="a script for a shell, on standard output")
    completion.add_argument("shell", choices=SHELLS)

    def complete(args: argparse.Namespace, out: object) -> int:
        sys.stdout.write(script(args.shell, list(subparsers.choices), commands_of(inner.choices)))
        return 0

    completion.set_defaults(command=complete)
    parser.set_defaults(run=run)


def _add_store_commands(inner: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    backup = inner.add_parser("backup", help="every key of the store, allocations too, into a file")
    restore = inner.add_parser("restore", help="a backup into an empty store")
    for parser in (backup, restore):
        parser.add_argument("archive", metavar="FILE")
        parser.add_argument("--store", required=True, metavar="URL", help="etcd://host:port[,...] or sqlite:///path")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    restore.add_argument("--force", action="store_true", help="replace what the store holds")
    backup.set_defaults(command=commands.backup)
    restore.set_defaults(command=commands.restore_store)


def _server_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("server")
    group.add_argument("--server", metavar="URL", help=f"or UNILB_SERVER; default {commands.DEFAULT_SERVER}")
    group.add_argument("--key", metavar="KEY", help="or UNILB_ADMIN_KEY, which other users of the machine cannot see")
    group.add_argument("--cacert", metavar="FILE", help="https: trust this authority (PEM)")
    group.add_argument("--insecure", action="store_true", help="https: trust anybody")
    return parser


def _output_option() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "-o", "--output", choices=("table", "json", "yaml"), default="table", help="default: %(default)s"
    )
    return parser


def _file_option() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-f", "--file", metavar="FILE", required=True, help='YAML; "-" is standard input')
    return parser


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"unilb ctl: {text}\n")
    return status
