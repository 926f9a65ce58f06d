"""Pages and pictures that the documentation takes from the code and from the reports when it is built."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PICTURES = ("examples/twinkle_piano.png", "reports/mlflow.png")
"""Shown on the pages as pictures/NAME, beside those in docs/pictures."""


def on_files(files: Any, config: Any) -> Any:
    """Add the reference of the command line, pictures, and the reports with their pictures."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/cli.md", content=command_line()))
    for name in PICTURES:
        files.append(File.generated(config, f"pictures/{Path(name).name}", abs_src_path=str(ROOT / name)))
    for path in sorted((ROOT / "reports").rglob("*")):
        if path.suffix in {".md", ".png"}:
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Make links to the reports, which work in the repository, work on the pages."""
    return markdown.replace("](../reports/", "](reports/")


def command_line() -> str:
    """Write the help of every command, at 100 columns."""
    os.environ["COLUMNS"] = "100"
    os.environ["NO_COLOR"] = "1"
    from hf_model.cli.parser import build_parser

    parser = build_parser()
    pages = ["# Command line\n", "The output of `--help`, generated from the program.\n"]
    pages.append(f"```text\n{parser.format_help()}```\n")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                pages.append(f"## hummingface {name}\n\n```text\n{command.format_help()}```\n")
    return "\n".join(pages)
