import shutil
import subprocess

import pytest

from control.ctl.completion import SHELLS, Command, script

COMMANDS = {
    "get": Command(("-o", "--output"), ("routes", "upstreams")),
    "completion": Command(("-h",), SHELLS),
}


def complete(*words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    quoted = " ".join(f"'{word}'" for word in words)
    lines = [
        script("bash", ["run", "ctl"], COMMANDS),
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _unilb; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    ]
    return subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, cwd="/").stdout.split()


def test_bash_offers_programs_commands_kinds_and_options() -> None:
    assert complete("unilb", "") == ["run", "ctl"]
    assert complete("unilb", "ctl", "g") == ["get"]
    assert complete("unilb", "ctl", "get", "r") == ["routes"]
    assert complete("unilb", "ctl", "get", "--") == ["--output"]
    assert complete("unilb", "ctl", "get", "-o", "") == ["table", "json", "yaml"]


def test_bash_offers_files_where_a_file_is_wanted() -> None:
    assert "/etc/passwd" in complete("unilb", "ctl", "apply", "-f", "/etc/passw")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_reads(shell: str) -> None:
    text = script(shell, ["run", "ctl"], COMMANDS)
    assert "routes" in text and "completion" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)
