"""Clips of single instruments from recorded corpora: NSynth, Groove, OpenMIC, MAESTRO, and recordings of voices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.reader import AudioReader
from hf_model.audio.recording import read_recording
from hf_model.corpora.catalogue import read
from hf_model.corpora.records import InstrumentRecord, PianoRecord, Record, VoiceRecord
from hf_model.instruments.classes import DRUMS, VOICE
from hf_model.training.instruments.clips import CLIP_SECONDS, InstrumentClip, audio_clip

NSYNTH = {
    "bass_acoustic": "bass",
    "bass_electronic": "bass",
    "bass_synthetic": "bass",
    "flute_acoustic": "flute",
    "guitar_acoustic": "acoustic guitar",
    "guitar_electronic": "electric guitar",
    "keyboard_acoustic": "piano",
    "keyboard_electronic": "electric piano",
    "mallet_acoustic": "mallets",
    "organ_electronic": "organ",
    "synth_lead_synthetic": "synth lead",
    "vocal_acoustic": VOICE,
}
"""Families of NSynth that are one class; brass, reeds and strings are several."""

OPENMIC = {
    "accordion": "accordion",
    "bass": "bass",
    "cello": "cello",
    "clarinet": "clarinet",
    "cymbals": DRUMS,
    "drums": DRUMS,
    "flute": "flute",
    "mallet_percussion": "mallets",
    "organ": "organ",
    "piano": "piano",
    "saxophone": "saxophone",
    "trombone": "brass",
    "trumpet": "trumpet",
    "violin": "violin",
    "voice": VOICE,
}
"""Labels of OpenMIC that are one class; a clip with another label (a guitar of any kind, a banjo) is not used."""

TRAIN_SPLITS = ("", "train")

N_PARTS = 3
"""Parts of a long recording of which the loudest is used."""


def recorded_clips(raw: Path, corpus: str, most: int, seed: int) -> Iterator[InstrumentClip]:
    """Cut recordings of a corpus into clips.

    Parameters
    ----------
    raw : Path
        Output of the download stage.
    corpus : str
        Its name in the registry. Of records in published splits, those for training are used.
    most : int
        Clips of each class, or set of classes; clips and places are drawn at random.
    seed : int

    Yields
    ------
    InstrumentClip
        Its group is the corpus. Nothing for melodies without recordings, and for recordings whose class is unclear.

    Raises
    ------
    hf_model.corpora.records.CorpusError, hf_model.audio.reader.AudioError
        For a file that is missing or cannot be read.
    """
    rng = np.random.default_rng([seed, *corpus.encode()])
    records = [(names, path) for record in read(corpus, raw) for names, path in _usable(record)]
    counts: dict[frozenset[str], int] = {}
    for index in rng.permutation(len(records)):
        names, path = records[int(index)]
        if counts.get(names, 0) >= most:
            continue
        clip = _cut(path, names, corpus, rng)
        if clip is not None:
            counts[names] = counts.get(names, 0) + 1
            yield clip


def is_test_voice(pair_id: str) -> bool:
    """Whether a recording of a voice is for measuring: a third of all, by their names."""
    return hashlib.md5(pair_id.encode(), usedforsecurity=False).digest()[0] % 3 == 0


def class_names(record: Record) -> frozenset[str]:
    """Give the classes of a recording, empty if they are unclear."""
    if isinstance(record, VoiceRecord):
        is_used = not (record.measure_only or is_test_voice(record.pair_id))
        return frozenset({VOICE}) if is_used else frozenset()
    if isinstance(record, PianoRecord):
        return frozenset({"piano"})
    if not isinstance(record, InstrumentRecord):
        return frozenset()
    known = {"nsynth": NSYNTH, "openmic": OPENMIC}.get(record.corpus, {DRUMS: DRUMS})
    is_clear = record.instruments and all(name in known for name in record.instruments)
    return frozenset(known[name] for name in record.instruments) if is_clear else frozenset()


def _usable(record: Record) -> Sequence[tuple[frozenset[str], Path]]:
    names = class_names(record)
    path = getattr(record, "audio_path", None)
    is_training = getattr(record, "split", "") in TRAIN_SPLITS
    return [(names, path)] if names and path is not None and is_training else []


def _cut(path: Path, names: frozenset[str], corpus: str, rng: np.random.Generator) -> InstrumentClip | None:
    """Cut the loudest of a few random parts of a recording; None if nothing sounds."""
    last_start = max(0.0, (AudioReader(path).header_duration or 0.0) - CLIP_SECONDS)
    starts = rng.uniform(0.0, last_start, N_PARTS) if last_start else [0.0]
    parts = [read_recording(path, start=float(start), end=float(start) + CLIP_SECONDS).voice for start in starts]
    return audio_clip(max(parts, key=_energy), set(names), corpus)


def _energy(audio: NDArray[np.float32]) -> float:
    return float(np.sum(np.square(audio)))
