"""The recordings on which transcribers are measured, with labels as published and as the align stage corrects them."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.correction import Correction
from hf_model.alignment.labels.correction import Measurement, corpus_prior
from hf_model.alignment.pairing import MeasureJob, VoiceJob, measure_recording, pair_voice
from hf_model.audio.io import read_audio, to_mono
from hf_model.corpora.catalogue import DownloadSettings, read
from hf_model.corpora.corpus import UNSTATED
from hf_model.corpora.download import download
from hf_model.corpora.records import VoiceRecord
from hf_model.evaluation.degradations import CONDITIONS
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch, pitch_to_hz
from hf_model.parallel.workers import run_all
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing

SSVD, CSD, MADE = "ssvd", "csd", "made"
CLEAN = "clean"
LICENCES = (UNSTATED, "CC BY-NC-SA 4.0")
"""Accepted for measuring, in addition to those for training."""

PUBLISHED, UNBIASED, CORRECTED = "as published", "pitch bias removed", "corrected by align"
CONVENTIONS = (PUBLISHED, UNBIASED, CORRECTED)


@dataclass(frozen=True)
class Recording:
    """One recording and its labels.

    Attributes
    ----------
    corpus, name, singer : str
    path : Path
    published, corrected : list of Note
    measurement : Measurement
        Errors of the labels, measured on this recording alone.
    correction : Correction
        As the align stage applies it, with the corpus as its prior.
    octaves_corrected : int
        Single notes that were moved by octaves.
    quality : float
        0-1: how well the corrected labels fit the voice.
    """

    corpus: str
    name: str
    singer: str
    path: Path
    published: list[Note]
    corrected: list[Note]
    measurement: Measurement
    correction: Correction
    octaves_corrected: int
    quality: float


@dataclass(frozen=True)
class Clip:
    """A recording in memory: mono audio (sample,) at its own rate in Hz, and its labels."""

    corpus: str
    name: str
    audio: NDArray[np.float32]
    sample_rate: int
    notes: list[Note]


def clip_of(recording: Recording, convention: str) -> Clip:
    """Read a recording, with its labels under a convention."""
    audio, sample_rate = read_audio(recording.path)
    return Clip(recording.corpus, recording.name, to_mono(audio), sample_rate, labels(recording, convention))


def made_clips(count: int, seconds: float, first_seed: int) -> list[Clip]:
    """Sing phrases of about so many seconds, with exact labels."""
    songs = [(seed, sing(compose(seed, seconds), seed)) for seed in range(first_seed, first_seed + count)]
    return [Clip(MADE, f"made-{seed}", song.audio, song.sample_rate, list(song.notes)) for seed, song in songs]


def degrade(audio: NDArray[np.float32], sample_rate: int, condition: str, name: str) -> NDArray[np.float32]:
    """Degrade a recording (sample,), the same way each time for its name; "clean" leaves it as it is."""
    if condition == CLEAN:
        return audio
    return CONDITIONS[condition](audio, sample_rate, zlib.crc32(name.encode()))


def read_recordings(mirror: str, folder: Path, workers: int) -> list[Recording]:
    """Copy SSVD and CSD from a mirror and correct their labels as the align stage does."""
    raw = folder / "raw"
    raw.mkdir()
    download(DownloadSettings((SSVD, CSD), LICENCES), raw, folder / "cache", mirror)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return [recording for corpus in (SSVD, CSD) for recording in _corpus(corpus, raw, folder / "aligned", workers)]


def _corpus(corpus: str, raw: Path, aligned: Path, workers: int) -> list[Recording]:
    records = [record for record in read(corpus, raw) if isinstance(record, VoiceRecord) and record.notes]
    (aligned / corpus / "voice").mkdir(parents=True)
    measure_jobs = [MeasureJob(aligned, record) for record in records]
    measured = list(run_all(measure_recording, measure_jobs, workers=workers, title=f"measuring labels of {corpus}"))
    prior = corpus_prior(measured)
    jobs = [
        VoiceJob(aligned, record, 0.0, render_piano=False, measurement=measurement, prior=prior)
        for record, measurement in zip(records, measured, strict=True)
    ]
    outcomes = run_all(pair_voice, jobs, workers=workers, title=f"correcting labels of {corpus}")
    recordings = [
        Recording(
            corpus,
            record.pair_id,
            record.singer,
            record.audio_path,
            list(record.notes or ()),
            list(outcome.pair.notes),
            measurement,
            outcome.pair.correction,
            int(outcome.extra.get("notes_moved", 0)),
            outcome.pair.quality,
        )
        for record, measurement, outcome in zip(records, measured, outcomes, strict=True)
    ]
    shutil.rmtree(aligned)
    return recordings


def pitch_bias_hz(recordings: Iterable[Recording]) -> float:
    """Median of the pitch biases of recordings: the constant in Hz by which the labels of a corpus are sharp."""
    return float(np.median([recording.measurement.pitch_bias_hz for recording in recordings]))


def labels(recording: Recording, convention: str, bias_hz: float = 0.0) -> list[Note]:
    """Give the labels of a recording under one of the conventions."""
    if convention == CORRECTED:
        return recording.corrected
    return lower(recording.published, bias_hz) if convention == UNBIASED else recording.published


def lower(notes: Sequence[Note], hz: float) -> list[Note]:
    """Lower pitches by a constant in Hz."""
    lowered = ((note, max(float(pitch_to_hz(note.pitch)) - hz, 10.0)) for note in notes)
    return [replace(note, pitch=float(hz_to_pitch(f0))) for note, f0 in lowered]
