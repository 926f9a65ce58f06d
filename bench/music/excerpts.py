"""Performances of POP909 excerpts: jittered, and sung and transcribed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from hf_model.audio.recording import as_recording
from hf_model.corpora.pop909_excerpts import SECONDS, Excerpt
from hf_model.inference import transcribe_recording
from hf_model.notes.note import Note
from hf_model.singer.synthesis import sing

SCRATCH = Path("data/scratch/pop909_sung")

Performance = tuple[list[Note], NDArray[np.float64], float]
"""Notes, beats on their clock, and the duration of the recording in seconds."""


def jittered(excerpt: Excerpt, seconds: float = 0.03, drift: float = 0.02) -> Performance:
    """Perform an excerpt with errors of onset and pitch, a tempo that drifts, and early offsets.

    Parameters
    ----------
    excerpt : Excerpt
    seconds : float
        Standard deviation of an onset.
    drift : float
        Standard deviation of the tempo's slow drift (period about 10 s), as a share.
    """
    rng = np.random.default_rng([9, int(excerpt.song)])
    knots = np.arange(-10.0, SECONDS + 30.0, 5.0)
    slowness = 1.0 + drift * rng.standard_normal(len(knots))
    times = np.arange(-10.0, SECONDS + 20.0, 0.05)
    clock = np.cumsum(np.interp(times, knots, slowness)) * 0.05
    clock -= np.interp(0.0, times, clock) - 0.5
    onsets = np.interp([note.onset for note in excerpt.notes], times, clock)
    onsets = np.sort(onsets + np.clip(rng.normal(0.0, seconds, len(onsets)), -2.5 * seconds, 2.5 * seconds))
    onsets = np.maximum.accumulate(np.maximum(onsets + 1e-4 * np.arange(len(onsets)), 0.0))
    ends = np.interp([note.offset for note in excerpt.notes], times, clock) - rng.uniform(0.0, 0.1, len(onsets))
    limits = np.append(onsets[1:], np.inf)
    tuning = rng.uniform(-0.5, 0.5)
    notes = [
        Note(
            float(onset),
            float(max(onset + 0.5 * min(limit - onset, 0.1), min(end, limit))),
            note.pitch + tuning + float(rng.normal(0.0, 0.3)),
            note.velocity,
        )
        for note, onset, end, limit in zip(excerpt.notes, onsets, ends, limits, strict=True)
    ]
    return notes, np.interp(excerpt.beats, times, clock), notes[-1].offset + 0.5


def sing_all(excerpts: Sequence[Excerpt], jobs: int) -> None:
    """Sing and transcribe the excerpts that are not in ``data/scratch`` yet."""
    missing = [excerpt for excerpt in excerpts if not _path(excerpt).is_file()]
    with ProcessPoolExecutor(jobs) as pool:
        for _ in track(pool.map(_sing, missing), "singing", total=len(missing), disable=not missing):
            pass


def sung(excerpt: Excerpt) -> Performance:
    """Transcribe the excerpt as sung by the singing synthesizer; kept in ``data/scratch``."""
    if not _path(excerpt).is_file():
        _sing(excerpt)
    with _path(excerpt).open(newline="", encoding="utf-8") as file:
        (lead, duration), *rows = list(csv.reader(file))
    notes = [Note(float(a), float(b), float(p), int(v), float(c)) for a, b, p, v, c in rows]
    return notes, excerpt.beats + float(lead), float(duration)


def _path(excerpt: Excerpt) -> Path:
    return SCRATCH / f"{excerpt.song}.csv"


def _sing(excerpt: Excerpt) -> None:
    song = sing(excerpt.notes, int(excerpt.song))
    written = np.array([note.onset for note in excerpt.notes])
    sung_at = np.array([note.onset for note in song.notes])
    if len(written) == len(sung_at):
        lead = float(np.median(sung_at - written))
    else:  # a note is inaudible: the shift that explains most onsets
        shifts = (sung_at[:, None] - written[None, :]).ravel()
        counts, edges = np.histogram(shifts, np.arange(0.0, 5.0, 0.03))
        best = edges[int(np.argmax(counts))]
        lead = float(np.median(shifts[np.abs(shifts - best - 0.015) < 0.05]))
    found = transcribe_recording(as_recording(song.audio, song.sample_rate), min_note=0.0)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    partial = _path(excerpt).with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([lead, len(song.audio) / song.sample_rate])
        writer.writerows([n.onset, n.offset, n.pitch, n.velocity, n.confidence] for n in found.notes)
    partial.replace(_path(excerpt))
