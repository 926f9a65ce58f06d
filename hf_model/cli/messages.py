"""What the program prints, and its exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model import __version__

if TYPE_CHECKING:
    from hf_model.cli.report import Report

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def print_message(text: str, kind: str = "error") -> None:
    """Print a message as one line to standard error."""
    with suppress(OSError):  # a standard error that is full or closed
        print(f"hummingface: {kind}: {one_line(text)}", file=sys.stderr, flush=True)


def print_json(reports: Sequence[Report], problem: str | None) -> None:
    """Print all results as one JSON document."""
    files = [report.as_mapping() for report in reports]
    print(json.dumps({"version": __version__, "error": problem, "files": files}, indent=2))


def print_report(report: Report, *, quiet: bool, on_stdout: bool, source: str = "") -> None:
    """Print the result of a file: errors and warnings to standard error, the rest to standard output."""
    if report.error:
        print_message(report.error)
        return
    if quiet:
        return
    for warning in report.warnings:
        print_message(f"{report.input}: {warning}", kind="warning")
    if on_stdout and report.outputs:
        names = "  ".join(report.outputs.values())
        cents = report.tuning_cents or 0.0
        tuning = f", {abs(cents):.0f} cents {'sharp' if cents > 0 else 'flat'}" if abs(cents) >= 0.5 else ""
        notes = "1 note" if report.n_notes == 1 else f"{report.n_notes} notes"
        music = f"{notes} in {report.duration:.2f} s{tuning}{_tempo_and_key(report)}"
        print(f"{report.input}: {source}{music} -> {names}", flush=True)


def describe_source(report: Report, *, is_decided: bool, is_separated: bool) -> str:
    """Describe what the recording is; a voice alone that the user named is no news."""
    if report.source is None or (report.source["kind"] == "voice" and not is_decided):
        return ""
    song = "song, voice separated" if is_separated else "song"
    what = {"song": song, "whistle": "whistling"}.get(report.source["kind"], "voice alone")
    return f"{what} ({min(99.0, 100 * report.source['confidence']):.0f} %), " if is_decided else f"{what}, "


def _tempo_and_key(report: Report) -> str:
    """Describe tempo and key, with a question mark for a guess."""
    if not report.n_notes or report.tempo is None or report.key is None:
        return ""
    from hf_model.music.remarks import UNSURE

    marks = ["?" if estimate["confidence"] < UNSURE else "" for estimate in (report.tempo, report.key)]
    return f", {report.tempo['bpm']:.0f} bpm{marks[0]}, {report.key['name']}{marks[1]}"


def one_line(text: object) -> str:
    """Join the lines of a text."""
    return " ".join(str(text).split())


def describe_error(error: Exception, path: Path | str) -> str:
    """Describe in one line why a file cannot be used, with its name first."""
    if isinstance(error, OSError):
        return f"{path}: {error.strerror.lower() if error.strerror else error}"
    text = str(error)
    return text if text.startswith(str(path)) else f"{path}: {text}"


def describe_unexpected(error: Exception) -> str:
    """Describe an error that no part of the program foresees."""
    is_memory = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))
    return "not enough memory" if is_memory else f"{type(error).__name__}: {error}"
