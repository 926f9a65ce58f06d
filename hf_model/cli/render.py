"""From a file of notes to a file of piano: what ``hummingface render`` does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from hf_model.audio.grid import seconds_to_samples
from hf_model.audio.io import write_wav_blocks
from hf_model.cli.convert import Report
from hf_model.export.outputs import FileError, Job, blame_disk, level_of, whole_files
from hf_model.inference import Models, default_models
from hf_model.notes.note_files import NoteFileError, read_score
from hf_model.notes.pedal import Pedal
from hf_model.piano.performance import Performance, perform
from hf_model.piano.rendering import PIANO_RATE

TAIL_SECONDS = 1.5
"""What is added after the last note for its release."""

MOST_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class RenderOptions:
    """How a file of notes is played.

    Attributes
    ----------
    out : path, optional
        The wav file; beside the notes when not given, ``tune.mid`` to ``tune.wav``.
    duration : float, optional
        Seconds; to the end of the last note and its release when not given.
    overwrite : bool
    performance : Performance
    """

    out: Path | None = None
    duration: float | None = None
    overwrite: bool = False
    performance: Performance = field(default_factory=Performance)


def render_file(source: Path, options: RenderOptions, models: Models | None = None) -> Report:
    """Play a file of notes into a wav file; what goes wrong is told in the report, and then nothing is written."""
    started = time.perf_counter()
    report = Report(str(source))
    out = options.out or source.with_suffix(".wav")
    try:
        _render(Job(source, {"wav": out}), options, models or default_models(), report)
    except (NoteFileError, FileError) as error:
        report.error = str(error)
    except OSError as error:
        report.error = f"{source}: {error.strerror.lower() if error.strerror else error}"
    except MemoryError:
        report.error = f"{source}: not enough memory"
    report.seconds = round(time.perf_counter() - started, 3)
    return report


def _render(job: Job, options: RenderOptions, models: Models, report: Report) -> None:
    out = job.outputs["wav"]
    if out.suffix.lower() != ".wav":
        msg = f"{out}: the output is a wav file, name it so"
        raise FileError(msg)
    score = read_score(job.source)
    if out.exists() and not options.overwrite:
        msg = f"{job.source}: {out} exists; add --overwrite to replace it, or name another with -o"
        raise FileError(msg)
    last = max((note.offset for note in score.notes), default=0.0)
    seconds = last + TAIL_SECONDS if options.duration is None else options.duration
    if seconds > MOST_SECONDS:
        msg = f"{job.source}: {seconds / 3600:.1f} hours of notes, at most {MOST_SECONDS / 3600:.0f} are played"
        raise FileError(msg)
    n_samples = seconds_to_samples(seconds, PIANO_RATE)
    notes = [note for note in score.notes if note.onset < seconds]
    pedals: list[Pedal] | None = [] if score.has_pedal else None
    with (
        perform(notes, n_samples, options.performance, models, pedals=pedals) as take,
        whole_files(job) as temporary,
        blame_disk(job),
    ):
        write_wav_blocks(temporary["wav"], take.blocks(), PIANO_RATE, n_samples)
        level = level_of(take)
    report.outputs = {"wav": str(out)}
    report.duration, report.n_notes = round(n_samples / PIANO_RATE, 6), len(notes)
    report.gain, report.loudness, report.true_peak = level
    report.warnings = list(score.warnings)
    if len(notes) < len(score.notes):
        report.warnings.append(f"{len(score.notes) - len(notes)} notes begin after {seconds:g} s and are left out")
