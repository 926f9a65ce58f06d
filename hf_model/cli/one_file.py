"""What the commands share that write one wav file: the check of its name, errors as one line, and the report."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from hf_model.cli.loading import ModelError
from hf_model.cli.messages import FAILED, OK, print_json, print_message, print_report
from hf_model.cli.report import Report
from hf_model.export.all_or_none import OutputError


def run_one(arguments: argparse.Namespace, make: Callable[[], Report]) -> int:
    """Make a file, print its report as ``--json`` and ``--quiet`` say, and return the exit code."""
    report: Report | None = None
    problem = None
    try:
        report = make()
        print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json)
    except (ModelError, OutputError) as error:
        problem = str(error)
        print_message(problem)
    finally:
        if arguments.json:
            print_json([report] if report else [], problem)
    return FAILED if problem or (report and report.error) else OK


def check_name(out: Path) -> None:
    """Refuse the name of another kind of file with an OutputError."""
    if out.suffix.lower() != ".wav":
        msg = f"the output is a wav file, but {out} does not end in .wav"
        raise OutputError(msg)


def check_output(source: Path, out: Path, *, overwrite: bool, option: str = "-o") -> None:
    """Refuse with an OutputError to replace an older file unless ``overwrite``, and the input itself.

    The message names the ``option`` that takes another file.
    """
    if os.path.lexists(out) and not overwrite:
        msg = f"{out} exists; add --overwrite to replace it, or choose another file with {option}"
        raise OutputError(msg)
    if os.path.exists(out) and os.path.samefile(source, out):  # noqa: PTH110, PTH121 (as in convert)
        msg = f"the output would replace {source}; choose another file with {option}"
        raise OutputError(msg)
