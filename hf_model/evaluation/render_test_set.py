"""Rendering of the test recordings, through the same functions as a user's recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hf_model import inference
from hf_model.alignment.manifest import Pair, piano_path, read_manifests, voice_path
from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
from hf_model.audio.io import write_audio
from hf_model.audio.recording import read_recording
from hf_model.config import check_choice, check_range, from_mapping
from hf_model.music.arrangement import MIN_NOTE
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note, to_keys
from hf_model.notes.note_files import write_csv
from hf_model.parallel.workers import run_all
from hf_model.piano.performance import Performance
from hf_model.piano.rendering import gain_for
from hf_model.shards.index import ShardIndex

S = TypeVar("S")

SOUNDS = ("sampled", "neural", "direct")
"""Two pianos that play notes, and the baseline from spectrogram to spectrogram."""

LABELLED = "labels"
"""Sound name of the labelled notes on the neural piano: its quality apart from transcription errors."""

MEASURED = {"normalize": False, "mono": True}
"""Performance settings for comparisons: not normalized, one channel."""

LISTING = "recordings.json"


class RenderError(ValueError):
    """The stage cannot continue; the message gives the reason."""


@dataclass(frozen=True)
class RenderSettings:
    """Settings of the render stage.

    Attributes
    ----------
    sounds : tuple of str
        Of ``SOUNDS``.
    min_note : float
        Seconds; shorter notes are left out.
    max_files : int
        Recordings of each corpus, spread over the test split; 0 for all.
    unlabelled : tuple of str
        Downloaded corpora without notes that are rendered in addition to the test split.
    """

    sounds: tuple[str, ...] = SOUNDS
    min_note: float = MIN_NOTE
    max_files: int = 0
    unlabelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for sound in self.sounds:
            check_choice("sounds", sound, SOUNDS)
        check_range("min_note", self.min_note, 0.0, 10.0)
        check_range("max_files", self.max_files, 0, 1_000_000)


@dataclass(frozen=True)
class Item:
    """One recording of the test split, and its files.

    Attributes
    ----------
    corpus, pair_id : str
    voice : str
        Path of the recording.
    piano : str
        Path of the reference piano; empty without one.
    n_samples : int
        Length of the piano recording, 44.1 kHz.
    tuning : float
        Estimated offset of the singer from 440 Hz tuning, semitones.
    notes : tuple of Note
        The labels with float pitches; empty for a corpus without.
    label_tuning : float
        The tuning of the labels, semitones.
    """

    corpus: str
    pair_id: str
    voice: str
    piano: str = ""
    n_samples: int = 0
    tuning: float = 0.0
    notes: tuple[Note, ...] = ()
    label_tuning: float = 0.0

    def path(self, folder: Path, ending: str) -> Path:
        """Name one of the recording's files below ``folder``: ``ending`` is ".csv", "_sampled.wav", ..."""
        return folder / self.corpus / f"{self.pair_id}{ending}"


def render_split(
    aligned: Path, shards: Path, models: Path, folder: Path, settings: RenderSettings, workers: int = 1
) -> list[Item]:
    """Render the test split.

    Parameters
    ----------
    aligned, shards, models : Path
        Outputs of the align, stft and train stages.
    folder : Path
        Output: ``<corpus>/<pair_id>`` with ``.csv``, ``.mid`` and ``_<sound>.wav``, and ``recordings.json``.
    settings : RenderSettings
    workers : int
        Processes.

    Raises
    ------
    RenderError
        If the test split is empty.
    """
    items = [*_labelled(aligned, shards, settings), *_unlabelled(aligned.parent / "raw", settings)]
    if not items:
        msg = f"{shards}: no recording in the test split; raise stft.test_fraction in params.yaml"
        raise RenderError(msg)
    for item in items:
        item.path(folder, "").parent.mkdir(parents=True, exist_ok=True)
    jobs = [(item, models, folder, settings) for item in items]
    rendered = list(run_all(_render, jobs, workers=min(workers, -(-len(jobs) // 4)), title="rendering"))
    listing = [asdict(item) for item in rendered]
    (folder / LISTING).write_text(json.dumps(listing, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return rendered


def read_listing(folder: Path) -> list[Item]:
    """Read the list of recordings that :func:`render_split` wrote.

    Raises
    ------
    RenderError
        If it is missing or damaged.
    """
    path = folder / LISTING
    try:
        return [from_mapping(Item, row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: cannot be read ({reason}); rebuild it: dvc repro --force render"
        raise RenderError(msg) from error


def pairs_of_test_split(aligned: Path, shards: Path) -> list[Pair]:
    """List the pairs of the test split, in the order of corpora and ids.

    Raises
    ------
    hf_model.shards.manifest.ShardError
        If a shard is damaged or missing.
    """
    chosen = {(row["corpus"], row["pair_id"]) for row in ShardIndex(shards, "test", columns=()).rows()}
    pairs = [pair for pair in read_manifests(aligned) if (pair.corpus, pair.pair_id) in chosen]
    return sorted(pairs, key=lambda pair: (pair.corpus, pair.pair_id))


def spread(items: Sequence[S], n_items: int) -> list[S]:
    """Choose at most ``n_items`` items, evenly spread; all of them for 0."""
    if not n_items or len(items) <= n_items:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, n_items).round()]


def _labelled(aligned: Path, shards: Path, settings: RenderSettings) -> Iterator[Item]:
    pairs = pairs_of_test_split(aligned, shards)
    for corpus in sorted({pair.corpus for pair in pairs}):
        for pair in spread([pair for pair in pairs if pair.corpus == corpus], settings.max_files):
            piano = piano_path(aligned, corpus, pair.pair_id)
            yield Item(
                corpus,
                pair.pair_id,
                voice_path(aligned, corpus, pair.pair_id).as_posix(),
                piano.as_posix() if piano.is_file() else "",
                notes=pair.notes,
                label_tuning=pair.correction.tuning,
            )


def _unlabelled(raw: Path, settings: RenderSettings) -> Iterator[Item]:
    from hf_model.corpora.catalogue import read
    from hf_model.corpora.records import VoiceRecord

    for name in settings.unlabelled:
        if not (raw / name).is_dir():
            msg = f"render.unlabelled has {name!r}, which {raw} does not hold; add it to download.corpora"
            raise RenderError(msg)
        for record in spread(list(read(name, raw)), settings.max_files):
            if isinstance(record, VoiceRecord):
                yield Item(name, record.pair_id, record.audio_path.as_posix())


def _render(job: tuple[Item, Path, Path, RenderSettings]) -> Item:
    """Transcribe one recording, and write its notes and its piano recordings."""
    item, folder_of_models, folder, settings = job
    models = _models(folder_of_models)
    recording = read_recording(item.voice)
    # All are voices alone: a wrong decision would be an error of another model than the one that is measured.
    melody = inference.transcribe_recording(recording, min_note=settings.min_note, source="voice", models=models)
    n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_SAMPLE_RATE)
    write_csv(item.path(folder, ".csv"), melody.notes, melody.piano_notes)
    write_midi(item.path(folder, ".mid"), melody.piano_notes)
    for sound in settings.sounds:
        if sound == "direct":
            audio = _direct(folder_of_models / "direct").render(recording.voice, n_samples)
        else:
            audio = inference.render(melody.piano_notes, n_samples, Performance(sound, **MEASURED), models)
        _write(item.path(folder, f"_{sound}.wav"), audio)
    if "neural" in settings.sounds and item.notes:
        keys = to_keys(item.notes, item.label_tuning)
        audio = inference.render(keys, n_samples, Performance("neural", **MEASURED), models)
        _write(item.path(folder, f"_{LABELLED}.wav"), audio)
    return replace(item, n_samples=n_samples, tuning=round(melody.tuning, 4))


def _write(path: Path, audio: NDArray[np.float32]) -> None:
    gain = gain_for(float(np.abs(audio).max(initial=0.0)))
    write_audio(path, audio * np.float32(gain), PIANO_SAMPLE_RATE)


@lru_cache(maxsize=1)
def _models(folder: Path) -> inference.Models:
    return inference.Models(folder)


@lru_cache(maxsize=1)
def _direct(folder: Path) -> Any:
    from hf_model.direct.network import Direct

    return Direct.from_pretrained(folder)
