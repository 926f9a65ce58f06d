"""Compare transcribers on the same recordings under the same conditions, and write reports/leaderboard.csv and .md.

Measured are this program, the peers that are installed (``make peers``), and any system that gives notes: --audio
FOLDER writes all recordings as FOLDER/<corpus>/<condition>/<name>.wav; your system writes a table for each, with the
columns onset, offset (seconds) and pitch (MIDI number), as NOTES/<corpus>/<condition>/<name>.csv; then
``python -m bench leaderboard --mirror MIRROR --add NAME NOTES`` measures them and adds a row to the tables.

Counts of earlier runs stay in leaderboard_recordings.csv beside the table, so that a run measures only what is
missing; --again names systems to measure once more. All systems get the same recordings, or a gap in the table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from bench.transcription.leaderboard_table import (
    Count,
    count,
    markdown,
    read_counts,
    summarize,
    write_counts,
    write_table,
)
from bench.transcription.recordings import (
    CLEAN,
    CORRECTED,
    CSD,
    MADE,
    PUBLISHED,
    SSVD,
    Clip,
    Recording,
    clip_of,
    degrade,
    made_clips,
    read_recordings,
)
from bench.transcription.systems import folds_system
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import write_audio
from hf_model.audio.resampling import resample
from hf_model.corpora.label_files import READERS
from hf_model.corpora.records import CorpusError
from hf_model.evaluation.baselines import BASELINES, installed
from hf_model.evaluation.degradations import CONDITIONS
from hf_model.evaluation.render_test_set import spread
from hf_model.notes.note import Note
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS

OURS, OURS_MADE = "hummingface", "hummingface, synthetic voices only"
CORPORA = (SSVD, CSD, MADE)
ALL_CONDITIONS = (CLEAN, *CONDITIONS)
MADE_SECONDS, FIRST_SEED = 10.0, 9_400_000


@dataclass(frozen=True)
class Entry:
    """A system: its name, the corpora that it may be measured on, and its function.

    Attributes
    ----------
    transcribe : callable
        Gets a recording, a condition, and the degraded audio (sample,) at the recording's rate.
    """

    name: str
    corpora: tuple[str, ...]
    transcribe: Callable[[Clip, str, NDArray[np.float32]], list[Note]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    add_help = "a system, and its folder of CSV files of notes; may be repeated"
    parser.add_argument("--add", nargs=2, action="append", default=[], metavar=("NAME", "FOLDER"), help=add_help)
    parser.add_argument("--audio", type=Path, help="write all recordings to this folder, and stop")
    parser.add_argument("--conditions", nargs="+", choices=ALL_CONDITIONS, default=ALL_CONDITIONS)
    parser.add_argument("--peers", nargs="*", choices=BASELINES, default=list(BASELINES), help="where installed")
    parser.add_argument("--files", type=int, default=8, help="recordings of SSVD, and synthetic phrases (%(default)s)")
    parser.add_argument("--folds", type=Path, default=Path("data/folds"), help="models that held singers of SSVD out")
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME", help="systems to measure once more")
    parser.add_argument("--report", type=Path, default=Path("reports/leaderboard"), help="without ending")


def run(options: argparse.Namespace) -> None:
    """Measure what is missing and write the tables."""
    with tempfile.TemporaryDirectory() as folder:
        recordings = read_recordings(options.mirror, Path(folder), os.cpu_count() or 1)
        chosen = spread([one for one in recordings if one.corpus == SSVD], options.files)
        clips = [clip_of(one, CORRECTED) for one in chosen]
        clips += [clip_of(one, PUBLISHED) for one in recordings if one.corpus == CSD]
        entries = own_entries(recordings, options.folds)
    clips += made_clips(options.files, MADE_SECONDS, FIRST_SEED)
    if options.audio:
        write_clips(clips, options.conditions, options.audio)
        return
    entries += [Entry(name, CORPORA, partial(run_peer, name)) for name in installed(options.peers)]
    check_names([name for name, _ in options.add], [entry.name for entry in entries])
    entries += [Entry(name, CORPORA, partial(read_notes, Path(folder))) for name, folder in options.add]
    path = options.report.with_name(f"{options.report.name}_recordings.csv")
    renewed = {*options.again, *(name for name, _ in options.add)}
    counts = [one for one in read_counts(path) if one.system not in renewed]
    for condition in options.conditions:
        counts += measure(entries, clips, condition, counts)
        write_counts(path, counts)
    rows = summarize(counts)
    write_table(options.report.with_suffix(".csv"), rows)
    text = markdown(rows, __doc__ or "")
    options.report.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def check_names(added: Sequence[str], taken: Sequence[str]) -> None:
    """Refuse a name that would replace the rows of another system, or break the table."""
    for number, name in enumerate(added):
        if not name.strip() or not name.isprintable() or "|" in name or name in (*taken, *BASELINES, *added[:number]):
            msg = f"--add {name!r}: choose a name that no other system has, without | and line breaks"
            raise SystemExit(msg)


def own_entries(recordings: Sequence[Recording], folds: Path) -> list[Entry]:
    """Give this program's models; for SSVD, on which the shipped one was trained, models that held the singer out."""
    made = Entry(OURS_MADE, CORPORA, partial(run_model, lambda _: WEIGHTS / "transcriber_made"))
    if not any(folds.glob("*/config.json")):
        return [Entry(OURS, (CSD, MADE), partial(run_model, lambda _: WEIGHTS / "transcriber")), made]
    folder_of = folds_system(folds, recordings).folder_of
    by_name = {one.name: folder_of[one.singer] for one in recordings if one.singer in folder_of}
    ours = partial(run_model, lambda clip: by_name[clip.name] if clip.corpus == SSVD else WEIGHTS / "transcriber")
    return [Entry(OURS, CORPORA, ours), made]


def run_model(folder_of: Callable[[Clip], Path], clip: Clip, _: str, audio: NDArray[np.float32]) -> list[Note]:
    """Transcribe with one of this program's models."""
    return load_model(folder_of(clip)).transcribe(resample(audio, clip.sample_rate, VOICE_STFT.sample_rate))


def run_peer(name: str, clip: Clip, _: str, audio: NDArray[np.float32]) -> list[Note]:
    """Transcribe with a peer."""
    return BASELINES[name][1](audio, clip.sample_rate)


def read_notes(folder: Path, clip: Clip, condition: str, _: NDArray[np.float32]) -> list[Note]:
    """Read the notes that a system wrote for a recording; a table may be without notes, but not missing.

    Raises
    ------
    CorpusError
        If there is no such file, or it is no table of notes.
    """
    path = folder / clip.corpus / condition / f"{clip.name}.csv"
    if not path.is_file():
        msg = f"{path} is missing: a system is measured on every recording; --conditions measures fewer"
        raise CorpusError(msg)
    return sorted(READERS[".csv"](path))


def measure(entries: Sequence[Entry], clips: Sequence[Clip], condition: str, known: Sequence[Count]) -> list[Count]:
    """Count the matches of every system that is not known under a condition."""
    done = {(one.system, one.corpus) for one in known if one.condition == condition}
    counts = []
    for clip in track(clips, condition):
        missing = [one for one in entries if clip.corpus in one.corpora and (one.name, clip.corpus) not in done]
        audio = degrade(clip.audio, clip.sample_rate, condition, clip.name) if missing else clip.audio
        is_single = sum(one.corpus == clip.corpus for one in clips) == 1
        for one in missing:
            found = one.transcribe(clip, condition, audio)
            counts += count(one.name, condition, clip.corpus, clip.name, clip.notes, found, windows=is_single)
    return counts


def write_clips(clips: Sequence[Clip], conditions: Sequence[str], folder: Path) -> None:
    """Write the audio of every recording under every condition."""
    for condition in conditions:
        for clip in track(clips, condition):
            path = folder / clip.corpus / condition / f"{clip.name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, degrade(clip.audio, clip.sample_rate, condition, clip.name), clip.sample_rate)
    print(f"{len(clips) * len(conditions)} recordings in {folder}")


@lru_cache(maxsize=8)
def load_model(folder: Path) -> Transcriber:
    """Load a model once."""
    return Transcriber.from_pretrained(folder)
