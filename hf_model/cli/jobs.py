"""`hummingface convert`: find the inputs, name the outputs, convert a file and report on it."""

from __future__ import annotations

import glob
import os
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hf_model.audio.reader import has_audio_suffix
from hf_model.audio.recording import Recording, read_recording
from hf_model.cli.report import Report
from hf_model.export.all_or_none import OutputError, all_or_none
from hf_model.export.outputs import ENDINGS, SONG_KINDS, Conversion
from hf_model.inference import Models, arrange_recording, trace_pitch
from hf_model.music.arrangement import Arrangement
from hf_model.parallel.memory import prefer_little_memory, release_freed_memory
from hf_model.piano.band import describe_missing
from hf_model.piano.performance import Performance, perform
from hf_model.preparation.separation import Separated, separate

OUTPUT_ENDING = "_piano"

MAX_SECONDS = 2 * 3600.0
"""Longer recordings are refused: they would need more than a gigabyte of memory."""

LONG = 120.0
"""Seconds of a voice alone from which its steps are shown."""

LARGE = 600.0
"""Seconds from which recordings are converted one at a time, because of the memory that they need."""

MISSING = {"cover": "there is no accompaniment", "voice": "the recording is a voice alone"}
"""Why a voice alone does not have them."""

Step = Callable[[float, str], object]
"""Called for a song with the share that is done, 0 to 1, and the step that begins or goes on."""


_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Job:
    """One input, its outputs by kind ("midi", "wav" and others), or why it is refused or left out."""

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
    kinds : tuple of str
        Kinds of outputs: those of :data:`hf_model.export.outputs.ENDINGS` and ``SONG_KINDS``.
    overwrite : bool
    source : {"auto", "voice", "song", "whistle"}
    start, end : float
        Seconds: the part that is converted.
    arrangement, performance, tuning
        As for :func:`hf_model.inference.convert`.
    tempo_kind : {"performed", "constant"}
        Of the MIDI files.
    """

    out_dir: Path | None = None
    kinds: tuple[str, ...] = ("wav", "midi")
    source: str = "auto"
    start: float = 0.0
    end: float | None = None
    overwrite: bool = False
    arrangement: Arrangement = field(default_factory=Arrangement)
    performance: Performance = field(default_factory=Performance)
    tuning: float | None = None
    tempo_kind: str = "performed"

    @property
    def stems(self) -> set[str]:
        """The stems of a song that the outputs are made of."""
        stems = {"cover": {"voice", "backing"}, "voice": {"voice"}}
        return set().union(*(stems.get(kind, set()) for kind in self.kinds))

    @property
    def has_sound(self) -> bool:
        """Whether the piano is played."""
        return bool({"wav", "cover"} & set(self.kinds))


def find_inputs(patterns: Iterable[str], *, with_outputs: bool = False) -> list[Job]:
    """Resolve files, folders (recursively) and globs to one job per input, in order, without duplicates.

    Folders and globs leave out hidden files and outputs of this program (``*_piano.wav``, and covers and voices beside
    one).
    """
    jobs: dict[str, Job] = {}
    for pattern in patterns:
        try:
            found, problems = _search(pattern, with_outputs=with_outputs)
        except OSError as error:
            found, problems = [], {pattern: f"{pattern}: {error.strerror}"}
        jobs |= {where: Job(Path(where), problem=problem) for where, problem in problems.items()}
        for item in found:
            jobs.setdefault(os.path.realpath(item), Job(item))
    return list(jobs.values())


def _search(pattern: str, *, with_outputs: bool) -> tuple[list[Path], dict[str, str]]:
    """Give the files of one argument, and the reason for each place where there are none."""
    path = Path(pattern)
    if path.is_dir():
        unreadable: list[OSError] = []
        walk = os.walk(path, onerror=unreadable.append)
        files = (Path(folder, name) for folder, _, names in walk for name in names)
        audio = sorted(item for item in files if has_audio_suffix(item) and _is_visible(item))
        found = [item for item in audio if with_outputs or not _is_output(item)]
        problems = {str(error.filename): f"{error.filename}: {error.strerror}" for error in unreadable}
        return found, problems if found or problems else {pattern: f"{path}: {_nothing_found(audio)}"}
    if glob.has_magic(pattern) and not path.exists():
        matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 (Path.glob refuses absolute ones)
        found = sorted(item for item in matches if _is_visible(item) and (with_outputs or not _is_output(item)))
        return found, {} if found else {pattern: f"{pattern}: no file matches"}
    return [path], {}


def _nothing_found(audio: Sequence[Path]) -> str:
    if audio:
        return f"only outputs of this program in this folder (such as {audio[0].name}); to convert one, name it"
    return "no audio files in this folder"


def _is_visible(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _is_output(path: Path) -> bool:
    """Whether a file is named as an output; a cover or voice is one only beside its piano."""
    ending = next((f"_{kind}" for kind in SONG_KINDS if path.stem.endswith(f"_{kind}")), None)
    if ending is not None and path.suffix == ".wav":
        return path.with_name(f"{path.stem.removesuffix(ending)}{OUTPUT_ENDING}.wav").exists()
    return path.stem.endswith(OUTPUT_ENDING)


def plan(jobs: Sequence[Job], options: Options) -> list[Job]:
    """Name the outputs of each job; skip inputs that are outputs of another job (``*.wav`` twice in one folder)."""
    outputs = [name_outputs(job.source, options) for job in jobs]
    kinds = ("wav", *SONG_KINDS)
    written = {os.path.realpath(paths[kind]) for paths in outputs for kind in kinds if kind in paths}
    planned = []
    for job, paths in zip(jobs, outputs, strict=True):
        is_output = not job.problem and os.path.realpath(job.source) in written
        skipped = "skipped: it is the output of another input" if is_output else None
        planned.append(Job(job.source, paths, job.problem, skipped))
    return planned


def name_outputs(source: Path, options: Options) -> dict[str, Path]:
    """Give the output paths of an input by kind."""
    folder = source.parent if options.out_dir is None else options.out_dir
    endings = {kind: f"{OUTPUT_ENDING}.{ending}" for kind, ending in ENDINGS.items()}
    endings |= {kind: f"_{kind}.wav" for kind in SONG_KINDS}
    return {kind: folder / f"{source.stem}{endings[kind]}" for kind in endings if kind in options.kinds}


def check_older(outputs: Mapping[str, Path], *, overwrite: bool) -> None:
    """Refuse to replace files, unless it is asked for.

    Raises
    ------
    OutputError
        For the first file that exists.
    """
    older = next((path for path in outputs.values() if os.path.lexists(path)), None)
    if older and not overwrite:
        msg = f"{older} exists; add --overwrite to replace it"
        raise OutputError(msg)


def _is_midi(source: Path) -> bool:
    if not source.is_file():  # a pipe would wait for its writer
        return False
    try:
        with source.open("rb") as file:
            return file.read(4) == b"MThd"
    except OSError:  # said when it is read
        return False


def convert_file(job: Job, options: Options, models: Models, report: Report, progress: Step) -> None:
    """Convert a file, and add what there is to say to its report.

    Raises
    ------
    AudioError, OutputError, OSError
        Nothing is written then.
    """
    if _is_midi(job.source):
        msg = f"a file of notes, not a recording: hummingface render {shlex.quote(str(job.source))} plays it"
        raise OutputError(msg)
    check_older(job.outputs, overwrite=options.overwrite)
    started = time.perf_counter()
    recording = read_recording(job.source, max_seconds=MAX_SECONDS, start=options.start, end=options.end)
    if recording.duration > LONG:
        prefer_little_memory()
    with (
        _one_at_a_time if recording.duration > LARGE else nullcontext(),
        all_or_none(job.outputs, make_folder=True) as temporary,
        closing(_separate(recording, options, models, progress)) as separated,
    ):
        prepared = time.perf_counter()
        written, missing = _without_song_outputs(job.outputs, separated)
        for kind in missing:
            del temporary[kind]
        if not separated.song and recording.duration > LONG:
            progress(0.1, "transcribing the voice")
        arranged, warnings = arrange_recording(separated, options.arrangement, tuning=options.tuning, models=models)
        transcribed = time.perf_counter()
        if separated.song or recording.duration > LONG:
            release_freed_memory()
            progress(0.9, "playing the piano" if options.has_sound else "writing the notes")
        performance = options.performance
        conversion = Conversion(
            job.source.name,
            separated.voice,
            arranged,
            performance.pedals(arranged.both_hands),
            stems=separated.stems,
            normalize=performance.normalize,
            trace=partial(trace_pitch, separated, models=models),
            tempo_kind=options.tempo_kind,
        )
        if options.has_sound:
            with perform(arranged.both_hands, conversion.n_samples, performance, models, band=arranged.band) as take:
                replace(conversion, take=take).write(temporary)
                report.add_level(take)
        else:
            conversion.write(temporary)
        check_older(job.outputs, overwrite=options.overwrite)  # another program may have written them meanwhile
    report.outputs = {kind: str(path) for kind, path in written.items()}
    report.duration = round(recording.duration, 6)
    missing_players = describe_missing(arranged.band) if options.has_sound else ()
    unwritten = (f"{MISSING[kind]}: {job.outputs[kind].name} is not written" for kind in missing)
    report.warnings = [*warnings, *missing_players, *unwritten]
    report.add_source(separated.source)
    report.add_music(arranged)
    if report.gain is not None and report.gain < 1 and not options.performance.normalize:
        report.warnings.append(f"the piano was turned down to {100 * report.gain:.0f} % to avoid clipping")
    report.timings = {"separate": round(prepared - started, 3)} if separated.song else {}
    report.timings |= {
        "listen": round(transcribed - (prepared if separated.song else started), 3),
        "play": round(time.perf_counter() - transcribed, 3),
    }


def _separate(recording: Recording, options: Options, models: Models, progress: Step) -> Separated:
    """Separate the voice of a song, with the progress of this step and the beginning of the next."""

    def report(share: float) -> None:
        progress(0.75 * share, "separating the voice" if share < 1 else "transcribing the voice")

    return separate(recording, lambda: models.separator, options.source, keep=options.stems, progress=report)


def _without_song_outputs(outputs: Mapping[str, Path], separated: Separated) -> tuple[dict[str, Path], list[str]]:
    """Split the outputs of a voice alone into those that it has, and the kinds that only a song has."""
    missing = [kind for kind in outputs if kind in SONG_KINDS and separated.song is None]
    return {kind: path for kind, path in outputs.items() if kind not in missing}, missing
