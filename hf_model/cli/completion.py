"""Completion of the command line in bash, zsh and tcsh."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "tcsh")

FOLDERS = {"DIR"}
FILES = {"INPUT", "NOTES", "OUT", "FILE"}
"""Metavars that stand for paths: what TAB offers there."""

HOW = """\
put it where your shell looks:
  bash   hummingface completion bash > ~/.local/share/bash-completion/completions/hummingface
  zsh    hummingface completion zsh > ~/.zfunc/_hummingface      (with fpath+=~/.zfunc before compinit in ~/.zshrc)
  tcsh   hummingface completion tcsh | source /dev/stdin
"""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the completion script of a shell (one of ``SHELLS``)."""
    import shtab

    for action in _actions(parser):
        names = {action.metavar} if isinstance(action.metavar, str) else set()
        if names & FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif names & FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Give the actions of a parser and of its commands."""
    found = []
    for action in parser._actions:
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found += _actions(command)
    return found
