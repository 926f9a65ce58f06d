"""What the documentation takes from the code and from the folders beside it, when it is built."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PICTURES = ("examples/twinkle_piano.png", "reports/mlflow.png")
"""Shown on the pages under these names."""

REPORTS = ("data_stages", "music", "throughput")
"""Reports that become pages."""


def on_files(files: Any, config: Any) -> Any:
    """Add the reference of the command line, and pictures that live elsewhere."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/cli.md", content=command_line()))
    for name in PICTURES:
        files.append(File.generated(config, f"pictures/{Path(name).name}", abs_src_path=str(ROOT / name)))
    for name in REPORTS:
        if (ROOT / "reports" / f"{name}.md").is_file():
            files.append(File.generated(config, f"reports/{name}.md", abs_src_path=str(ROOT / f"reports/{name}.md")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links that work in the repository work on the pages."""
    return markdown.replace("](../reports/", "](reports/")


def command_line() -> str:
    """Write every command's help, as a terminal of 100 columns shows it."""
    os.environ["COLUMNS"] = "100"
    os.environ["NO_COLOR"] = "1"
    from hf_model.cli.main import build_parser

    parser = build_parser()
    pages = ["# Command line\n", "Generated from the program: what `--help` prints.\n"]
    pages.append(f"```text\n{parser.format_help()}```\n")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                pages.append(f"## hummingface {name}\n\n```text\n{command.format_help()}```\n")
    return "\n".join(pages)
