"""Completion scripts for shells, made from the parser itself. Pure."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control.ctl.kinds import RANK

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
# unilb: completion. bash: source it, or put it into /etc/bash_completion.d/
_unilb() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{programs}"
    elif [ "${{COMP_WORDS[1]}}" = ctl ] && [ "$COMP_CWORD" -eq 2 ]; then
        words="{commands}"
    elif [ "${{COMP_WORDS[1]}}" = ctl ]; then
        case "$prev" in
            -f|--file|--cacert) COMPREPLY=($(compgen -f -- "$cur")); return;;
            -o|--output) words="table json yaml";;
            *) case "${{COMP_WORDS[2]}}" in
{cases}
            esac;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}}
complete -F _unilb unilb
"""
_ZSH = "#compdef unilb\nautoload -U +X bashcompinit && bashcompinit\n"


@dataclass(frozen=True, slots=True)
class Command:
    """What may follow one command: options, and words for its first operand."""

    options: tuple[str, ...]
    words: tuple[str, ...]


def commands_of(parsers: Mapping[str, argparse.ArgumentParser]) -> dict[str, Command]:
    """Commands by name, from the parsers of `unilb ctl`."""
    return {name: Command(_options(parser), _words(parser)) for name, parser in parsers.items()}


def script(shell: str, programs: Sequence[str], commands: Mapping[str, Command]) -> str:
    """The script; `programs`: the subcommands of `unilb`."""
    if shell == "fish":
        return "".join(f"{line}\n" for line in _fish(programs, commands))
    cases = "\n".join(
        f'                {name}) words="{" ".join((*command.words, *command.options))}";;'
        for name, command in commands.items()
    )
    text = _BASH.format(programs=" ".join(programs), commands=" ".join(commands), cases=cases)
    return _ZSH + text if shell == "zsh" else text


def _fish(programs: Sequence[str], commands: Mapping[str, Command]) -> list[str]:
    lines = [f'complete -c unilb -f -n __fish_use_subcommand -a "{" ".join(programs)}"']
    seen = "__fish_seen_subcommand_from"
    lines.append(f'complete -c unilb -f -n "{seen} ctl; and not {seen} {" ".join(commands)}" -a "{" ".join(commands)}"')
    for name, command in commands.items():
        here = f'-n "{seen} ctl; and {seen} {name}"'
        if command.words:
            lines.append(f'complete -c unilb -f {here} -a "{" ".join(command.words)}"')
        for option in command.options:
            flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"complete -c unilb {here} {flag}")
    return lines


def _options(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    return tuple(option for action in parser._actions for option in action.option_strings)


def _words(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    for action in parser._actions:
        if not action.option_strings:
            return tuple(RANK) if action.dest == "kind" else tuple(action.choices or ())
    return ()
