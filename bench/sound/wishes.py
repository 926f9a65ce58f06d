"""Words, instruments, genre, the band and the concert grand in one report: reports/wishes.md."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from bench.music import accompaniment
from bench.sound import analysis, concert, instruments, lyrics
from bench.sound.figure import Figure, figures_table

REPORT = Path(__file__).parents[2] / "reports" / "wishes.md"

HEAD = """# Words, instruments, genre, a band, a concert grand

`python -m bench wishes MIRROR --piano FOLDER` (FOLDER: the recorded notes of the concert grand, see
`hf_model/piano/build_concert.py`). How to use them: docs/more.md. Brackets are 95 % bootstrap intervals over
recordings, songs or notes. Figures published by others are of other data, and say only what is usual.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("mirror", help="folder of the corpora")
    parser.add_argument("--piano", help="folder with the recorded notes of the concert grand")
    parser.add_argument("--songs", default="40", help="songs of each kind for the band, 0 for all (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Run the benchmarks and write the report."""
    figures: list[Figure] = []
    parts = []
    for title, module, options in _parts(arguments):
        found, text = _output(module, options)
        figures += found
        parts.append(f"## {title}\n\n`python -m bench {module.__name__.rsplit('.', 1)[1]}`\n\n{text}")
        print(parts[-1], flush=True)
    found, _ = _output(accompaniment, ["--mirror", arguments.mirror, "--songs", arguments.songs])
    figures += found
    text = (accompaniment.REPORTS / "accompaniment.md").read_text(encoding="utf-8").split("\n\n", 1)[1]
    parts.append("## A band for the melody\n\n" + text.replace("\n## ", "\n### "))
    table = "\n".join(figures_table(figures)) + "\n"
    REPORT.write_text("\n".join([HEAD, table, *parts]), encoding="utf-8")


def _parts(arguments: argparse.Namespace) -> Iterator[tuple[str, ModuleType, list[str]]]:
    yield "Words sung on a melody", lyrics, []
    piano = ["--piano", arguments.piano] if arguments.piano else []
    yield "Which instrument is this?", instruments, [arguments.mirror, *piano]
    yield "Genre and popularity", analysis, []
    if arguments.piano:
        yield "The concert grand beside its recordings", concert, [arguments.piano]


def _output(module: ModuleType, options: list[str]) -> tuple[list[Figure], str]:
    """Run a benchmark: its figures, and what it prints: tables as they are, other lines as a list."""
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        figures: list[Figure] = module.run(parser.parse_args(options))
    lines = printed.getvalue().splitlines()
    return figures, "\n".join(line if line.startswith("|") else f"- {line.strip()}" for line in lines) + "\n"
