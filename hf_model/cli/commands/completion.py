"""Tab completion in bash, zsh and tcsh."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "tcsh")

FOLDERS = {"DIR"}
FILES = {"INPUT", "NOTES", "OUT", "FILE"}
"""Metavars of paths, for which files or folders are completed."""

INSTALLATION = """\
installation:
  bash   hummingface completion bash > ~/.local/share/bash-completion/completions/hummingface
  zsh    hummingface completion zsh > ~/.zfunc/_hummingface      (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  tcsh   hummingface completion tcsh | source /dev/stdin
"""


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Generate the completion script for a shell (one of ``SHELLS``)."""
    import shtab

    for action in _actions(parser):
        names = {action.metavar} if isinstance(action.metavar, str) else set()
        if names & FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif names & FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """List the actions of a parser and of its subcommands."""
    found = []
    for action in parser._actions:
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found += _actions(command)
    return found


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.cli.parser import build_parser

    print(completion_script(build_parser(), options.shell))
    return 0
