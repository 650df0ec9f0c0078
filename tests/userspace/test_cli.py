"""userspace/cli.py: the table of subcommands."""

import importlib
import subprocess
import sys

import pytest

from userspace.cli import COMMANDS, main, parser


@pytest.mark.parametrize("name", COMMANDS)
def test_each_subcommand_has_a_parser_that_sets_what_to_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        parser(name).parse_args([name, "--help"])
    assert exited.value.code == 0
    assert f"usage: unilb {name}" in capsys.readouterr().out
    assert callable(importlib.import_module(COMMANDS[name][0]).add_parser)


def test_help_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert name in shown
        assert text.split()[0] in shown


def test_an_unknown_subcommand_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["nonsense"])
    assert exited.value.code == 2
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err


def test_a_subcommand_loads_no_other() -> None:
    look = "import sys; from userspace.cli import parser; parser('lab'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert "userspace.lab.cli" in loaded
    others = {module for name, (module, _) in COMMANDS.items() if name != "lab"}
    assert not others & set(loaded)
    assert not {"uvloop", "bcc", "pyroute2", "aiohttp"} & set(loaded)
