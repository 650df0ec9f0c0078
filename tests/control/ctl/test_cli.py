import subprocess
import sys
from pathlib import Path

import pytest

from tests.control.ctl.conftest import Ctl, Running

UNILB = str(Path(sys.prefix, "bin", "unilb"))


def test_the_program_knows_it(server: Running) -> None:
    done = subprocess.run(
        [UNILB, "ctl", "get", "routes", "--server", server.url, "--key", "the-admin-key"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[:2] == ["ID", "NAME"]


def test_a_reader_who_has_seen_enough_ends_it_quietly() -> None:
    done = subprocess.run(
        f"{UNILB} ctl completion bash | true", shell=True, capture_output=True, text=True, executable="/bin/bash"
    )
    assert done.stderr == ""


def test_completion_knows_all_of_the_program() -> None:
    done = subprocess.run([UNILB, "ctl", "completion", "bash"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout and "stream_routes" in done.stdout and "--prune" in done.stdout


def test_an_unknown_command_or_kind_is_wrong_usage(ctl: Ctl) -> None:
    with pytest.raises(SystemExit) as caught:
        ctl("frobnicate")
    assert caught.value.code == 2
    result = ctl("get", "rotues")
    assert result.code == 2 and 'unknown kind "rotues"' in result.err


def test_help_says_what_the_exit_status_means() -> None:
    done = subprocess.run([UNILB, "ctl", "--help"], capture_output=True, text=True, check=True)
    assert "Exit status: 0 done; 1 refused" in done.stdout
