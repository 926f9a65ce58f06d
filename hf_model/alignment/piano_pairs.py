"""Pairs of the corpus "pianos": excerpts of recorded pianos with the notes of their MIDI files, for the synthesizer.

The "voice" of such a pair is the recording itself, mixed down, which no transcriber of singing should be trained on:
``fit.corpora`` of the profile names what each model uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.correction import Correction
from hf_model.alignment.manifest import Pair, piano_path, voice_path
from hf_model.alignment.pairing import Outcome
from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT
from hf_model.audio.io import to_mono, write_audio
from hf_model.audio.recording import read_recording
from hf_model.corpora.records import PianoRecord
from hf_model.notes.note import Note
from hf_model.notes.note_files import read_score

PIANOS = "pianos"
"""Name of the corpus."""


@dataclass(frozen=True)
class PianoJob:
    """An excerpt to cut: ``seconds`` from ``start``."""

    folder: Path
    pair_id: str
    record: PianoRecord
    audio_path: Path
    start: float
    seconds: float


def piano_jobs(
    folder: Path, records: Sequence[PianoRecord], n_excerpts: int, seconds: float, seed: int
) -> list[PianoJob]:
    """Draw excerpts from recordings, in turn; those without audio or shorter than an excerpt are left out.

    Parameters
    ----------
    folder : Path
        Of aligned data.
    records : sequence of PianoRecord
    n_excerpts : int
        Of all recordings together.
    seconds : float
        Of each.
    seed : int
    """
    rng = np.random.default_rng([seed, 0x9A])
    usable = [record for record in records if record.audio_path is not None and record.duration >= seconds]
    order = rng.permutation(len(usable))
    jobs = []
    for number in range(n_excerpts if usable else 0):
        record = usable[int(order[number % len(usable)])]
        name = f"{record.corpus}-{record.pair_id}-{number // len(usable):03d}"
        assert record.audio_path is not None
        start = float(rng.uniform(0.0, record.duration - seconds))
        jobs.append(PianoJob(folder, name, record, record.audio_path, start, seconds))
    return jobs


def pair_piano(job: PianoJob) -> Outcome:
    """Cut an excerpt of a recording and of its notes; keys are held as long as the pedal holds them."""
    end = job.start + job.seconds
    recording = read_recording(job.audio_path, start=job.start, end=end)
    piano = to_mono(np.concatenate(list(recording.stereo_blocks()), axis=1))
    n_samples = round(job.seconds * VOICE_STFT.sample_rate)
    singer = f"{job.record.corpus}-{job.record.pair_id}"  # that of its melody too: no split divides a piece
    notes = excerpt_notes(read_score(job.record.midi_path).notes, job.start, end)
    rate = VOICE_STFT.sample_rate
    pair = Pair(job.pair_id, PIANOS, singer, job.record.licence, "train", n_samples, rate, notes, Correction())
    write_audio(voice_path(job.folder, PIANOS, job.pair_id), _fitted(recording.voice, n_samples), rate)
    sound = _fitted(piano, pair.piano_n_samples)
    write_audio(piano_path(job.folder, PIANOS, job.pair_id), sound, PIANO_SAMPLE_RATE)
    return Outcome(pair)


def excerpt_notes(notes: Sequence[Note], start: float, end: float) -> tuple[Note, ...]:
    """Give the notes that begin in an excerpt, in seconds from its start, cut at its end."""
    kept = [note for note in notes if start <= note.onset < end]
    return tuple(
        Note(note.onset - start, min(note.offset, end) - start, note.pitch, note.velocity, note.confidence)
        for note in kept
    )


def _fitted(audio: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Cut or pad audio (sample,) to a length."""
    return np.pad(audio[:n_samples], (0, max(0, n_samples - len(audio))))
