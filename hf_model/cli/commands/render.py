"""`hummingface render`: render a MIDI file or a table of notes to a wav file."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.cli.loading import ModelError, load_models
from hf_model.cli.messages import FAILED, OK, print_json, print_message, print_report
from hf_model.cli.options import performance_from
from hf_model.cli.progress import ProgressBars
from hf_model.cli.report import Report
from hf_model.export.outputs import OutputError, all_or_none, write_take
from hf_model.inference import Models, default_models
from hf_model.notes.note_files import NoteFileError, read_score
from hf_model.notes.pedal import Pedal
from hf_model.piano.performance import Performance, perform

TAIL_SECONDS = 1.5
"""Added after the last note for its release."""

MAX_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class RenderOptions:
    """How a file of notes is rendered.

    Attributes
    ----------
    out : path, optional
        The wav file; when not given, the path of the notes with the suffix ``.wav``.
    duration : float, optional
        Seconds; when not given, the length of the recording if the file of notes states it, otherwise to the end of the
        last note and its release.
    overwrite : bool
    performance : Performance
    """

    out: Path | None = None
    duration: float | None = None
    overwrite: bool = False
    performance: Performance = field(default_factory=Performance)


def render_file(
    source: Path,
    options: RenderOptions,
    models: Models | None = None,
    progress: Callable[[float], object] = lambda _: None,
) -> Report:
    """Render a file of notes to a wav file; if that fails, the report has the error and nothing is written."""
    started = time.perf_counter()
    report = Report(str(source))
    try:
        _render(source, options, models or default_models(), report, progress)
    except NoteFileError as error:
        report.error = str(error)
    except OutputError as error:
        report.error = f"{source}: {error}"
    except OSError as error:
        report.error = f"{source}: {error.strerror.lower() if error.strerror else error}"
    except Exception as error:  # noqa: BLE001 (one line instead of a traceback)
        is_memory = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))
        report.error = f"{source}: {'not enough memory' if is_memory else f'{type(error).__name__}: {error}'}"
    report.seconds = round(time.perf_counter() - started, 3)
    return report


def _render(
    source: Path, options: RenderOptions, models: Models, report: Report, progress: Callable[[float], object]
) -> None:
    out = options.out or source.with_suffix(".wav")
    if out.suffix.lower() != ".wav":
        msg = f"the output is a wav file, but {out} does not end in .wav"
        raise OutputError(msg)
    score = read_score(source)
    _check_output(source, out, overwrite=options.overwrite)
    last = max((note.offset for note in score.notes), default=0.0)
    lengths = (options.duration, score.duration, last + TAIL_SECONDS)
    seconds = next(length for length in lengths if length is not None)
    if seconds > MAX_SECONDS:
        msg = f"{seconds / 3600:.1f} hours of notes, at most {MAX_SECONDS / 3600:.0f} are rendered"
        raise OutputError(msg)
    n_samples = seconds_to_samples(seconds, PIANO_SAMPLE_RATE)
    notes = [note for note in score.notes if note.onset < seconds]
    pedals: list[Pedal] | None = [] if score.has_pedal else None
    with (
        all_or_none({"wav": out}, make_folder=True) as temporary,
        perform(notes, n_samples, options.performance, models, pedals=pedals, progress=progress) as take,
    ):
        write_take(temporary["wav"], take)
        report.add_level(take)
        _check_output(source, out, overwrite=options.overwrite)  # another program may have written it meanwhile
    report.outputs = {"wav": str(out)}
    report.duration, report.n_notes = round(n_samples / PIANO_SAMPLE_RATE, 6), len(notes)
    report.warnings = list(score.warnings)
    if len(notes) < len(score.notes):
        report.warnings.append(f"{len(score.notes) - len(notes)} notes begin after {seconds:g} s and are left out")


def _check_output(source: Path, out: Path, *, overwrite: bool) -> None:
    """Refuse to replace an older file unless ``overwrite``, and the notes themselves."""
    if os.path.lexists(out) and not overwrite:
        msg = f"{out} exists; add --overwrite to replace it, or choose another file with -o"
        raise OutputError(msg)
    if os.path.exists(out) and os.path.samefile(source, out):  # noqa: PTH110, PTH121 (as in convert)
        msg = "the output would replace the notes; choose another file with -o"
        raise OutputError(msg)


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    performance = performance_from(arguments)
    options = RenderOptions(arguments.out, arguments.duration, arguments.overwrite, performance)
    report: Report | None = None
    problem = None
    try:
        models = load_models(arguments, transcriber=False)
        with ProgressBars(1, hidden=arguments.quiet) as bars:
            report = render_file(arguments.notes, options, models, lambda share: bars.step(share, "playing the piano"))
        print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json)
    except ModelError as error:
        problem = str(error)
        print_message(problem)
    finally:
        if arguments.json:
            print_json([report] if report else [], problem)
    return FAILED if problem or (report and report.error) else OK
