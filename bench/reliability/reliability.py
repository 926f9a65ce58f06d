"""Write reports/reliability.md: what was attacked, mutated, killed and kept running, and what came of it.

Every part is a module of bench with a function `rows`, which runs it and gives its rows: what, target, result, command.
All parts together take hours. The rows are kept in reports/reliability.json: with --run, only these parts are measured
anew, and the others are written as they were measured before.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

PARTS = {
    "fuzz": "Mutated inputs",
    "environments": "Odd environments",
    "kill": "Killed processes and damaged files",
    "attack": "The page under attack",
    "soak": "The page under a steady load",
}
"""The modules of bench, and their headings."""

REPORTS = Path(__file__).parents[2] / "reports"
KEPT, REPORT = REPORTS / "reliability.json", REPORTS / "reliability.md"
COLUMNS = ("what", "target", "result", "command")

Row = Mapping[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--run", nargs="*", choices=PARTS, default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)} (all)")


def run(options: argparse.Namespace) -> None:
    """Run the parts that were chosen and write the report."""
    for part in options.run:
        save(part, importlib.import_module(f"bench.reliability.{part}").rows())
    write_report()


def save(part: str, rows: Sequence[Row]) -> None:
    """Keep the rows of a part, and write the report."""
    kept = read_kept() | {part: [{column: row[column] for column in COLUMNS} for row in rows]}
    KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_report()


def read_kept() -> dict[str, list[Row]]:
    """Read the rows of all parts that were run."""
    kept: dict[str, list[Row]] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return kept


def write_report() -> None:
    """Write the report of all rows that are kept."""
    kept = read_kept()
    lines = ["# Reliability", "", "Written by `python -m bench reliability`; a row is repeated by its command.", ""]
    for part, heading in PARTS.items():
        if part in kept:
            lines += [f"## {heading}", "", as_table(kept[part]), ""]
    REPORT.write_text("\n".join(lines), encoding="utf-8")


def as_table(rows: Sequence[Row]) -> str:
    """Give rows as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = [row[column].replace("|", "\\|") for column in COLUMNS]
        cells[-1] = f"`{cells[-1].strip('`')}`"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
