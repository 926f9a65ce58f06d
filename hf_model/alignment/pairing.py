"""One voice, one piano: a phrase sung, a recording with labels or a score, or a recording beside a recorded piano."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment import label_correction as labels
from hf_model.alignment import manifest
from hf_model.alignment.audio_alignment import Warp, apply_warp, find_warp
from hf_model.alignment.manifest import PIANO_RATE, Correction, Pair
from hf_model.alignment.score_alignment import align_score
from hf_model.audio.io import read_audio, to_mono, write_audio
from hf_model.audio.pitch_tracking import SAMPLE_RATE, Track, track
from hf_model.audio.resampling import resample
from hf_model.corpora.records import VoiceRecord
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note, to_keys
from hf_model.notes.velocity import velocities
from hf_model.piano.sampled import SampledPiano
from hf_model.piano.transcription import piano_to_notes
from hf_model.singer.composition import compose, phrase_from_song
from hf_model.singer.synthesis import sing

ALIGNED_BY_SCORE = ("hust_solfege",)
"""Corpora whose labels have no offsets: their score is aligned, and the labels only check how well."""

OWN = "pairs"
"""The corpus of the user's own recordings."""


@dataclass(frozen=True)
class Outcome:
    """A pair, and the numbers that the report gives beside those in the pair."""

    pair: Pair
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SingJob:
    """A phrase to sing, at most ``seconds`` long; cut from ``notes``, or composed where there are none."""

    folder: Path
    corpus: str
    licence: str
    pair_id: str
    singer: str
    seed: int
    seconds: float
    render_piano: bool
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class VoiceJob:
    """A recording to pair with a piano; not if there is a ``reason``."""

    folder: Path
    record: VoiceRecord
    min_quality: float
    render_piano: bool
    measurement: labels.Measurement | None = None
    prior: labels.Prior | None = None
    reason: str = ""


@dataclass(frozen=True)
class RecordedJob:
    """A voice and a recorded piano of the same song; perhaps the MIDI file of what the piano plays."""

    folder: Path
    pair_id: str
    voice_path: Path
    piano_path: Path
    midi_path: Path | None
    min_quality: float


def sing_phrase(job: SingJob) -> Outcome:
    """Sing one phrase: the truth is exact, and nothing needs correcting."""
    score = phrase_from_song(job.notes, job.seed, job.seconds) if job.notes else compose(job.seed, job.seconds)
    song = sing(score, job.seed)
    notes = velocities(song.audio, song.sample_rate, song.notes)
    pair = Pair(
        job.pair_id,
        job.corpus,
        job.singer,
        job.licence,
        "train",
        len(song.audio),
        song.sample_rate,
        tuple(notes),
        Correction(tuning=labels.singer_tuning(notes)),
    )
    _write_voice(job.folder, pair, song.audio)
    if job.render_piano:
        _render_piano(job.folder, pair)
    return Outcome(pair)


def uses_labels(record: VoiceRecord) -> bool:
    """Whether a recording's own labels become its notes."""
    return bool(record.notes) and record.corpus not in ALIGNED_BY_SCORE


def measure_labels(record: VoiceRecord) -> labels.Measurement:
    """Compare a recording's labels with its voice."""
    audio, sample_rate = read_audio(record.audio_path)
    return labels.measure(track(resample(to_mono(audio), sample_rate, SAMPLE_RATE)), record.notes or [])


def pair_voice(job: VoiceJob) -> Outcome:
    """Correct a recording's labels, or align its score, and let the piano play them."""
    record = job.record
    audio, sample_rate = read_audio(record.audio_path)
    voice = to_mono(audio)
    duration = len(voice) / sample_rate
    heard = track(resample(voice, sample_rate, SAMPLE_RATE))
    notes: list[Note] = []
    correction, extra = Correction(), dict[str, float]()
    if job.measurement is not None and job.prior is not None:
        correction = labels.decide(job.measurement, job.prior)
        notes, extra["notes_moved"] = labels.mend_octaves(heard, labels.apply(record.notes or [], correction, duration))
    if record.score and not job.reason:
        aligned, found = _align_record(heard, record)
        extra |= found
        notes = notes or labels.apply(aligned, Correction(), duration)
    residual, quality = labels.fit(heard, notes)
    reason = job.reason or _reason(record, notes, quality, job.min_quality)
    pair = Pair(
        record.pair_id,
        record.corpus,
        record.singer,
        record.licence,
        "measure" if record.measure_only else "train",
        len(voice),
        sample_rate,
        tuple(velocities(voice, sample_rate, notes)),
        replace(correction, tuning=labels.singer_tuning(notes), residual=residual),
        quality,
        not reason,
        reason,
    )
    if pair.kept:
        _write_voice(job.folder, pair, voice)
        if job.render_piano:
            _render_piano(job.folder, pair)
    return Outcome(pair, extra)


def _align_record(heard: Track, record: VoiceRecord) -> tuple[list[Note], dict[str, float]]:
    """Align a record's score; where its labels have the same notes, they tell how far the onsets are off (seconds)."""
    aligned = align_score(heard, record.score or [])
    extra = {"score_residual": aligned.residual, "score_transposition": aligned.transposition}
    known = record.notes or []
    if len(known) == len(aligned.notes):
        lag = labels.onset_lag(heard, known)[0]
        away = [abs(one.onset - (other.onset - lag)) for one, other in zip(aligned.notes, known, strict=True)]
        extra["score_onset_distance"] = float(np.median(away))
    return aligned.notes, extra


def _reason(record: VoiceRecord, notes: Sequence[Note], quality: float, min_quality: float) -> str:
    """Say why a recording is left out, or nothing."""
    if notes:
        return f"quality {quality:.2f} is below min_quality {min_quality:.2f}" if quality < min_quality else ""
    if record.score or uses_labels(record):
        return "no note left inside the recording"
    return "labels have no offsets, and there is no score" if record.notes else "neither labels nor a score"


def pair_recorded(job: RecordedJob) -> Outcome:
    """Bring a recorded piano onto the voice's clock.

    The notes are those of the MIDI file, or else those heard in the piano; their pitches are as sung where that can be
    measured, an octave apart or not.
    """
    audio, sample_rate = read_audio(job.voice_path)
    voice = to_mono(audio)
    recorded, piano_rate = read_audio(job.piano_path)
    piano = resample(to_mono(recorded), piano_rate, PIANO_RATE)
    warp = find_warp(voice, sample_rate, piano, PIANO_RATE)
    pair = Pair(job.pair_id, OWN, f"{OWN}-{job.pair_id}", "own", "train", len(voice), sample_rate, quality=warp.quality)
    if warp.quality < job.min_quality:
        other = f"; the piano would fit better {warp.shift} semitones away" if warp.shift else ""
        reason = f"quality {warp.quality:.2f} is below min_quality {job.min_quality:.2f}{other}"
        return Outcome(replace(pair, kept=False, reason=reason))
    warped = apply_warp(piano, warp, pair.piano_n_samples)
    played = _warped_notes(job.midi_path, warp, pair.duration) if job.midi_path else piano_to_notes(warped, PIANO_RATE)
    notes, residual = _as_sung(track(resample(voice, sample_rate, SAMPLE_RATE)), played)
    correction = Correction(tuning=labels.singer_tuning(notes), residual=residual)
    pair = replace(pair, notes=tuple(velocities(voice, sample_rate, notes)), correction=correction)
    _write_voice(job.folder, pair, voice)
    write_audio(manifest.piano_path(job.folder, OWN, job.pair_id), warped, PIANO_RATE)
    return Outcome(pair)


def _warped_notes(path: Path, warp: Warp, duration: float) -> list[Note]:
    """Read what the piano plays, on the voice's clock."""
    notes = read_midi(path)
    onsets = warp.to_voice(np.array([note.onset for note in notes]))
    offsets = warp.to_voice(np.array([note.offset for note in notes]))
    moved = [
        replace(note, onset=float(max(onset, 0.0)), offset=float(min(offset, duration)))
        for note, onset, offset in zip(notes, onsets, offsets, strict=True)
        if min(offset, duration) > max(onset, 0.0)
    ]
    return sorted(moved)


def _as_sung(heard: Track, played: Sequence[Note]) -> tuple[list[Note], float]:
    """Give keys the pitches that are sung at the same time; and the median distance between both, semitones."""
    measured = labels.note_pitches(heard, played)
    away = measured - np.array([note.pitch for note in played])
    away -= 12 * np.round(np.nanmedian(away) / 12) if np.isfinite(away).any() else 0
    near = np.abs(away) < 1.0
    notes = [
        replace(note, pitch=float(pitch)) if close else note
        for note, pitch, close in zip(played, measured, near, strict=True)
    ]
    return notes, float(np.nanmedian(np.abs(away))) if np.isfinite(away).any() else float("inf")


def _write_voice(folder: Path, pair: Pair, voice: NDArray[np.float32]) -> None:
    write_audio(manifest.voice_path(folder, pair.corpus, pair.pair_id), voice, pair.voice_sample_rate)


def _render_piano(folder: Path, pair: Pair) -> None:
    """Let the piano play a pair's notes, for exactly as long as the voice."""
    piano = _piano().render(to_keys(pair.notes, pair.correction.tuning), pair.piano_n_samples)
    write_audio(manifest.piano_path(folder, pair.corpus, pair.pair_id), piano, PIANO_RATE)


@lru_cache(maxsize=1)
def _piano() -> SampledPiano:
    return SampledPiano.load(channels=1)
