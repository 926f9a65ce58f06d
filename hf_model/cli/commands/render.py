"""`hummingface render`: render a MIDI file or a table of notes to a wav file."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.cli.loading import load_models
from hf_model.cli.messages import describe_error, describe_unexpected
from hf_model.cli.one_file import check_name, check_output, run_one
from hf_model.cli.options.sound import performance_from
from hf_model.cli.progress import ProgressBars
from hf_model.cli.report import Report, note_fields
from hf_model.export.all_or_none import OutputError, all_or_none
from hf_model.export.outputs import write_take
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
    except (OSError, OutputError) as error:
        report.error = describe_error(error, source)
    except Exception as error:  # noqa: BLE001 (one line instead of a traceback)
        report.error = f"{source}: {describe_unexpected(error)}"
    report.seconds = round(time.perf_counter() - started, 3)
    return report


def _render(
    source: Path, options: RenderOptions, models: Models, report: Report, progress: Callable[[float], object]
) -> None:
    out = options.out or source.with_suffix(".wav")
    check_name(out)
    score = read_score(source)
    check_output(source, out, overwrite=options.overwrite)
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
        check_output(source, out, overwrite=options.overwrite)  # another program may have written it meanwhile
    report.outputs = {"wav": str(out)}
    report.duration, report.n_notes = round(n_samples / PIANO_SAMPLE_RATE, 6), len(notes)
    report.notes = [note_fields(note) for note in notes]
    report.warnings = list(score.warnings)
    if len(notes) < len(score.notes):
        report.warnings.append(f"{len(score.notes) - len(notes)} notes begin after {seconds:g} s and are left out")


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""

    def make() -> Report:
        options = RenderOptions(arguments.out, arguments.duration, arguments.overwrite, performance_from(arguments))
        models = load_models(arguments, transcriber=False)
        with ProgressBars(1, hidden=arguments.quiet) as bars:
            return render_file(arguments.notes, options, models, lambda share: bars.step(share, "playing the piano"))

    return run_one(arguments, make)
