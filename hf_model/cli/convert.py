"""`hummingface convert`: find the inputs, name the outputs, convert file by file and report on each."""

from __future__ import annotations

import glob
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
from hf_model.audio.reader import SUFFIXES, AudioError
from hf_model.audio.recording import read_recording
from hf_model.export.outputs import Conversion, OutputError, all_or_none
from hf_model.inference import Models, arrange_recording, default_models
from hf_model.music.arrangement import Arranged, Arrangement
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name
from hf_model.piano.performance import Performance, Take, perform

OUTPUT_ENDING = "_piano"


@dataclass(frozen=True)
class Job:
    """One input, its outputs by kind ("wav", "midi" and optional ones), or why it is refused or left out."""

    source: Path
    outputs: Mapping[str, Path] = field(default_factory=dict)
    problem: str | None = None
    skipped: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is something to convert."""
        return not (self.problem or self.skipped)


@dataclass(frozen=True)
class Options:
    """What to write for each input.

    Attributes
    ----------
    out_dir : path, optional
        Folder of the outputs; the folder of each input when not given.
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
    """The result of one input: fields as ``--json`` prints them, times in seconds.

    ``notes`` is the right hand, with ``sung``, the float pitch of the voice; ``accompaniment`` is the left hand.
    ``repeats`` lists the onset and offset of each repetition of a phrase. ``gain`` brought the piano to its level;
    ``loudness`` (LUFS) and ``true_peak`` (dB) include it and are missing for silence. ``timings`` is how long
    transcription ("listen") and rendering ("play") took.
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

    def add_level(self, take: Take) -> None:
        """Set gain, loudness and true peak."""
        self.gain = round(take.gain, 4)
        self.loudness, self.true_peak = (
            round(level, 2) if math.isfinite(level) else None for level in (take.loudness, take.true_peak)
        )

    def add_music(self, arranged: Arranged) -> None:
        """Set the notes, tempo, key, tuning, repeats and remarks."""
        tempo, key = arranged.tempo, arranged.key
        self.n_notes = len(arranged.piano_notes)
        self.tuning_cents = round(100 * arranged.tuning, 1)
        self.tempo = {
            "bpm": round(tempo.bpm, 2),
            "confidence": round(tempo.confidence, 3),
            "meter": tempo.meter_name,
            "meter_confidence": round(tempo.meter_confidence, 3),
            "beats": [round(beat, 3) for beat in tempo.beats],
            "downbeat": tempo.downbeat,
        }
        self.key = {"name": key.name, "confidence": round(key.confidence, 3)}
        self.notes = [
            _note_fields(played, sung=round(sung.pitch, 3), confidence=round(sung.confidence, 3))
            for sung, played in zip(arranged.notes, arranged.piano_notes, strict=True)
        ]
        self.accompaniment = [_note_fields(note) for note in arranged.accompaniment]
        self.repeats = [
            [[round(onset, 3), round(offset, 3)] for onset, offset in phrase] for phrase in arranged.repeats
        ]
        self.remarks = list(arranged.remarks)


def _note_fields(note: Note, **more: float) -> dict[str, Any]:
    key = int(note.pitch)
    times = {"onset": round(note.onset, 4), "offset": round(note.offset, 4)}
    return {**times, "pitch": key, "name": pitch_to_name(key), "velocity": note.velocity, **more}


def find_inputs(patterns: Iterable[str]) -> list[Job]:
    """Resolve files, folders (recursively) and globs to one job per input, in order, without duplicates.

    Folders and globs leave out hidden files and outputs of this program (``*_piano.wav``).
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
    """Give the files of one argument, or the reason why there are none."""
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
    """Name the outputs of each job; skip inputs that are outputs of another job (``*.wav`` twice in one folder)."""
    outputs = [name_outputs(job.source, options) for job in jobs]
    written = {os.path.realpath(paths["wav"]) for paths in outputs}
    planned = []
    for job, paths in zip(jobs, outputs, strict=True):
        is_output = not job.problem and os.path.realpath(job.source) in written
        skipped = "skipped: it is the output of another input" if is_output else None
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
    """Convert files one by one; a file that fails has its error in the report and no outputs."""
    written: dict[str, Path] = {}
    for job in jobs:
        started = time.perf_counter()
        report = Report(str(job.source), error=job.problem)
        try:
            if job.skipped:
                report.warnings.append(job.skipped)
            elif not job.problem:
                _check_outputs(job, options, written)
                _convert(job, options, models or default_models(), report)
                written[os.path.realpath(job.outputs["wav"])] = job.source
        except AudioError as error:
            report.error = str(error)
        except OutputError as error:
            report.error = f"{job.source}: {error}"
        except OSError as error:
            report.error = f"{job.source}: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001 (one file must not end the others)
            is_memory = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))
            reason = "not enough memory" if is_memory else f"{type(error).__name__}: {error}"
            report.error = f"{job.source}: {reason}"
        report.seconds = round(time.perf_counter() - started, 3)
        yield report


def _check_outputs(job: Job, options: Options, written: Mapping[str, Path]) -> None:
    """Refuse to replace outputs of this run, and older files unless ``options.overwrite``."""
    wav = job.outputs["wav"]
    first = written.get(os.path.realpath(wav))
    older = next((path for path in job.outputs.values() if path.exists()), None)
    problem = None
    if older and not options.overwrite:
        problem = f"{older} exists; add --overwrite to replace it"
    if first:
        problem = f"{wav} was just made of {first}; rename one of the two"
    if problem:
        raise OutputError(problem)


def _convert(job: Job, options: Options, models: Models, report: Report) -> None:
    started = time.perf_counter()
    recording = read_recording(job.source)
    with all_or_none(job.outputs, make_folder=True) as temporary:
        arranged, warnings = arrange_recording(recording, options.arrangement, tuning=options.tuning, models=models)
        transcribed = time.perf_counter()
        n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_SAMPLE_RATE)
        with perform(arranged.both_hands, n_samples, options.performance, models) as take:
            pedals = options.performance.pedals(arranged.both_hands)
            Conversion(job.source.name, recording, arranged, pedals, take).write(temporary)
            report.add_level(take)
    report.outputs = {kind: str(path) for kind, path in job.outputs.items()}
    report.duration = round(recording.duration, 6)
    report.warnings = list(warnings)
    report.add_music(arranged)
    if report.gain is not None and report.gain < 1 and not options.performance.normalize:
        report.warnings.append(f"the piano was turned down to {100 * report.gain:.0f} % to avoid clipping")
    report.timings = {
        "listen": round(transcribed - started, 3),
        "play": round(time.perf_counter() - transcribed, 3),
    }
