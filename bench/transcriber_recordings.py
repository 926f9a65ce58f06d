"""The recordings that transcribers are measured on, with their labels as published and as `align` corrects them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hf_model.alignment import label_correction as labels
from hf_model.alignment.label_correction import Measurement
from hf_model.alignment.manifest import Correction
from hf_model.alignment.pairing import VoiceJob, measure_labels, pair_voice
from hf_model.corpora.catalogue import read
from hf_model.corpora.corpus import UNSTATED
from hf_model.corpora.download import DownloadSettings, download
from hf_model.corpora.records import VoiceRecord
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch, pitch_to_hz
from hf_model.parallel.workers import run_all

SSVD, CSD = "ssvd", "csd"
ACCEPTED = (UNSTATED, "CC BY-NC-SA 4.0")
"""Licences under which recordings are measured on, not trained on: all that there are."""

PUBLISHED, UNBIASED, CORRECTED = "as published", "pitch bias removed", "corrected by align"
CONVENTIONS = (PUBLISHED, UNBIASED, CORRECTED)


@dataclass(frozen=True)
class Recording:
    """One recording and what is known of its labels.

    Attributes
    ----------
    corpus, name, singer : str
    path : Path
    published, corrected : list of Note
    measurement : Measurement
        What this recording alone says of its labels.
    correction : Correction
        What `align` made of it in the light of its corpus.
    octaves_mended : int
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
    octaves_mended: int
    quality: float


def bring(mirror: str, folder: Path, workers: int) -> list[Recording]:
    """Fetch SSVD and CSD, and correct their labels as the align stage does; nothing is left out for its licence."""
    raw = folder / "raw"
    raw.mkdir()
    download(DownloadSettings((SSVD, CSD), ACCEPTED), raw, folder / "cache", mirror)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    return [recording for corpus in (SSVD, CSD) for recording in _corpus(corpus, raw, folder / "aligned", workers)]


def _corpus(corpus: str, raw: Path, aligned: Path, workers: int) -> list[Recording]:
    records = [record for record in read(corpus, raw) if isinstance(record, VoiceRecord) and record.notes]
    (aligned / corpus / "voice").mkdir(parents=True)
    measured = list(run_all(measure_labels, records, workers=workers, title=f"measuring labels of {corpus}"))
    prior = labels.corpus_prior(measured)
    jobs = [
        VoiceJob(aligned, record, 0.0, render_piano=False, measurement=found, prior=prior)
        for record, found in zip(records, measured, strict=True)
    ]
    outcomes = run_all(pair_voice, jobs, workers=workers, title=f"correcting labels of {corpus}")
    found = [
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
    return found


def pitch_bias_hz(recordings: Iterable[Recording]) -> float:
    """Measure the one constant by which the labels of a corpus are sharp: the median of its recordings' biases."""
    return float(np.median([recording.measurement.pitch_bias_hz for recording in recordings]))


def reference(recording: Recording, convention: str, bias_hz: float = 0.0) -> list[Note]:
    """Give the labels of a recording under one of the conventions."""
    if convention == CORRECTED:
        return recording.corrected
    return lower(recording.published, bias_hz) if convention == UNBIASED else recording.published


def lower(notes: Sequence[Note], hz: float) -> list[Note]:
    """Lower pitches by a constant in Hz."""
    return [replace(note, pitch=float(hz_to_pitch(max(pitch_to_hz(note.pitch) - hz, 10.0)))) for note in notes]
