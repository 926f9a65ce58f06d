"""From audio files to piano files: which inputs, which outputs, and no half-written file."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_model.audio.grid import resampled_length
from hf_model.audio.io import write_wav_blocks
from hf_model.audio.reader import SUFFIXES, AudioError
from hf_model.audio.recording import read_recording
from hf_model.export.midi_score import write_score
from hf_model.export.outputs import FileError, Job, blame_disk, level_of, whole_files
from hf_model.inference import Models, default_models, hear_arranged
from hf_model.music.arrangement import Arranged, Arrangement
from hf_model.notes.note import Note
from hf_model.notes.note_files import write_csv
from hf_model.notes.pitch import pitch_to_name
from hf_model.piano.performance import Performance, perform
from hf_model.piano.rendering import PIANO_RATE

OUTPUT_ENDING = "_piano"


@dataclass(frozen=True)
class Options:
    """What to make of each file.

    Attributes
    ----------
    out_dir : path, optional
        Where the outputs go; beside each input when not given.
    csv, musicxml, plot, structure, overwrite : bool
    arrangement, performance, tuning
        As for :func:`hf_model.inference.convert`.
    """

    out_dir: Path | None = None
    csv: bool = False
    musicxml: bool = False
    plot: bool = False
    structure: bool = False
    overwrite: bool = False
    arrangement: Arrangement = field(default_factory=Arrangement)
    performance: Performance = field(default_factory=Performance)
    tuning: float | None = None


@dataclass
class Report:
    """What became of one input: fields as ``--json`` prints them, times in seconds.

    ``notes`` and ``accompaniment`` are what the right and the left hand play, ``sung`` the pitch that a note was sung
    at; ``repeats`` lists, for each phrase that is sung more than once, where. ``gain`` is the factor that brought the
    piano to its level, ``loudness`` (LUFS) and ``true_peak`` (dB) what it has then; both are missing for silence.
    ``timings`` says how long listening and playing took.
    """

    input: str
    outputs: dict[str, str] = field(default_factory=dict)
    duration: float | None = None
    n_notes: int | None = None
    tuning_cents: float | None = None
    tempo: dict[str, Any] | None = None
    key: dict[str, Any] | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)
    accompaniment: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[list[list[float]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    gain: float | None = None
    loudness: float | None = None
    true_peak: float | None = None
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    def as_mapping(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)


def find_inputs(patterns: Iterable[str]) -> list[Job]:
    """Resolve files, folders (searched through) and globs to one job an input, in order, without repetition.

    Folders and globs leave out hidden files and what this program wrote (``*_piano.wav``).
    """
    jobs: dict[str, Job] = {}
    for pattern in patterns:
        try:
            found, problem = _search(pattern)
        except OSError as error:
            found, problem = [], f"{pattern}: {error.strerror}"
        if problem:
            jobs[pattern] = Job(Path(pattern), problem=problem)
        for item in found:
            jobs.setdefault(os.path.realpath(item), Job(item))
    return list(jobs.values())


def _search(pattern: str) -> tuple[list[Path], str | None]:
    """Give the files of one argument, or say why there are none."""
    path = Path(pattern)
    if path.is_dir():
        found = sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES and _is_input(item))
        return found, None if found else f"{path}: no audio files in this folder"
    if glob.has_magic(pattern) and not path.exists():
        matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 (Path.glob refuses absolute ones)
        found = sorted(filter(_is_input, matches))
        return found, None if found else f"{pattern}: no file matches"
    return [path], None


def _is_input(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and not path.stem.endswith(OUTPUT_ENDING)


def plan(jobs: Sequence[Job], options: Options) -> list[Job]:
    """Name each job's outputs; leave out inputs that are another one's output (``*.wav`` twice in one folder)."""
    outputs = [name_outputs(job.source, options) for job in jobs]
    made = {os.path.realpath(paths["wav"]) for paths in outputs}
    planned = []
    for job, paths in zip(jobs, outputs, strict=True):
        is_made = not job.problem and os.path.realpath(job.source) in made
        skipped = "left out: it is what this run makes of another input" if is_made else None
        planned.append(Job(job.source, paths, job.problem, skipped))
    return planned


def name_outputs(source: Path, options: Options) -> dict[str, Path]:
    """Give the output paths of an input by kind."""
    folder = source.parent if options.out_dir is None else options.out_dir
    endings = {"wav": "wav", "midi": "mid"}
    endings |= {"csv": "csv"} if options.csv else {}
    endings |= {"musicxml": "musicxml"} if options.musicxml else {}
    endings |= {"plot": "png"} if options.plot else {}
    endings |= {"structure": "structure.png"} if options.structure else {}
    return {kind: folder / f"{source.stem}{OUTPUT_ENDING}.{ending}" for kind, ending in endings.items()}


def convert_jobs(jobs: Iterable[Job], options: Options, models: Models | None = None) -> Iterator[Report]:
    """Convert files one by one; what goes wrong with one is told in its report, and then nothing is written of it."""
    made: dict[str, Path] = {}
    for job in jobs:
        started = time.perf_counter()
        report = Report(str(job.source))
        try:
            if job.skipped:
                report.warnings.append(job.skipped)
            else:
                _check_outputs(job, options, made)
                _convert(job, options, models or default_models(), report)
                made[os.path.realpath(job.outputs["wav"])] = job.source
        except (AudioError, FileError) as error:
            report.error = str(error)
        except OSError as error:
            report.error = f"{job.source}: {error.strerror or error}"
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            report.error = f"{job.source}: not enough memory"
        report.seconds = round(time.perf_counter() - started, 3)
        yield report


def _check_outputs(job: Job, options: Options, made: Mapping[str, Path]) -> None:
    """Refuse to write over what this run made of another input, and over older files unless asked to."""
    problem = job.problem
    first = made.get(os.path.realpath(job.outputs["wav"]))
    older = next((path for path in job.outputs.values() if path.exists()), None)
    if not problem and first:
        problem = f"{job.source}: {job.outputs['wav']} was just made of {first}; rename one of the two"
    if not problem and older and not options.overwrite:
        problem = f"{job.source}: {older} exists; add --overwrite to replace it"
    if problem:
        raise FileError(problem)


def _convert(job: Job, options: Options, models: Models, report: Report) -> None:
    started = time.perf_counter()
    recording = read_recording(job.source)
    with whole_files(job) as temporary:
        arranged, warnings = hear_arranged(recording, options.arrangement, tuning=options.tuning, models=models)
        heard = time.perf_counter()
        n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_RATE)
        with perform(arranged.both_hands, n_samples, options.performance, models) as take, blame_disk(job):
            write_wav_blocks(temporary["wav"], take.blocks(), PIANO_RATE, n_samples)
            pedals = options.performance.pedals(arranged.both_hands)
            write_score(temporary["midi"], arranged, recording.duration, pedals=pedals)
            report.gain, report.loudness, report.true_peak = level_of(take)
            if "csv" in temporary:
                write_csv(temporary["csv"], *arranged.side_by_side)
            if "musicxml" in temporary:
                from hf_model.export.musicxml import MusicXMLError, write_musicxml

                try:
                    write_musicxml(temporary["musicxml"], arranged, job.source.stem)
                except MusicXMLError as error:
                    raise FileError(f"{job.source}: {error}") from error
            if "plot" in temporary:
                from hf_model.export.picture import save_picture

                save_picture(temporary["plot"], recording.voice, arranged.notes, arranged.piano_notes, job.source.name)
            if "structure" in temporary:
                from hf_model.export.repetition_picture import save_repeats_picture

                save_repeats_picture(temporary["structure"], arranged.notes, job.source.name, arranged.tuning)
    report.outputs = {kind: str(path) for kind, path in job.outputs.items()}
    report.duration = round(recording.duration, 6)
    report.warnings = list(warnings)
    _tell_music(arranged, report)
    if report.gain < 1 and not options.performance.normalize:
        report.warnings.append(f"the piano was turned down to {100 * report.gain:.0f} % so that it does not clip")
    report.timings = {"listen": round(heard - started, 3), "play": round(time.perf_counter() - heard, 3)}


def _tell_music(arranged: Arranged, report: Report) -> None:
    """Put what is played, and what was found on the way, into a report."""
    tempo, key = arranged.tempo, arranged.key
    report.n_notes = len(arranged.piano_notes)
    report.tuning_cents = round(100 * arranged.tuning, 1)
    report.tempo = {
        "bpm": round(tempo.bpm, 2),
        "confidence": round(tempo.confidence, 3),
        "meter": tempo.meter_name,
        "meter_confidence": round(tempo.meter_confidence, 3),
        "beats": [round(beat, 3) for beat in tempo.beats],
        "downbeat": tempo.downbeat,
    }
    report.key = {"name": key.name, "confidence": round(key.confidence, 3)}
    report.notes = [
        _told(played, sung=round(sung.pitch, 3), confidence=round(sung.confidence, 3))
        for sung, played in zip(arranged.notes, arranged.piano_notes, strict=True)
    ]
    report.accompaniment = [_told(note) for note in arranged.accompaniment]
    report.repeats = [[[round(onset, 3), round(offset, 3)] for onset, offset in phrase] for phrase in arranged.repeats]
    report.remarks = list(arranged.remarks)


def _told(note: Note, **more: float) -> dict[str, Any]:
    key = int(note.pitch)
    times = {"onset": round(note.onset, 4), "offset": round(note.offset, 4)}
    return {**times, "pitch": key, "name": pitch_to_name(key), "velocity": note.velocity, **more}
