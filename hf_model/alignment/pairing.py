"""One pair of voice and piano: of a synthetic phrase, of a labelled or scored recording, or of two recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment import manifest
from hf_model.alignment.audio_alignment import Warp, apply_warp, find_warp
from hf_model.alignment.correction import Correction
from hf_model.alignment.labels.correction import (
    Measurement,
    Prior,
    apply_correction,
    correct_octaves,
    estimate_correction,
    measure_fit,
    measure_labels,
    measure_onset_lag,
    note_pitches,
    singer_tuning,
)
from hf_model.alignment.manifest import Pair
from hf_model.alignment.score_alignment import align_score
from hf_model.alignment.tracked_voice import TrackedVoice
from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.io import read_audio, to_mono, write_audio
from hf_model.audio.pitch_tracking import Track
from hf_model.audio.resampling import resample
from hf_model.corpora.records import VoiceRecord
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note, to_keys
from hf_model.notes.velocity import estimate_velocities
from hf_model.piano.sampled import SampledPiano
from hf_model.piano.transcription import piano_to_notes
from hf_model.singer.composition import compose, phrase_from_song
from hf_model.singer.synthesis import sing

ALIGNED_BY_SCORE = ("hust_solfege",)
"""Corpora whose labels have no offsets: their score is aligned, and the labels only measure how well."""


@dataclass(frozen=True)
class Outcome:
    """A pair, and further numbers for the report."""

    pair: Pair
    extra: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SingJob:
    """A phrase to synthesize, at most ``seconds`` long; cut from ``notes``, or composed if there are none."""

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
class MeasureJob:
    """A recording whose labels are measured."""

    folder: Path
    record: VoiceRecord


@dataclass(frozen=True)
class VoiceJob:
    """A recording to pair with a piano; with a ``measurement`` its voice is in ``scratch_path``.

    A ``reason`` leaves the recording out.
    """

    folder: Path
    record: VoiceRecord
    min_quality: float
    render_piano: bool
    measurement: Measurement | None = None
    prior: Prior | None = None
    reason: str = ""


@dataclass(frozen=True)
class RecordedJob:
    """A voice and a recorded piano of the same song, and optionally the piano's notes as a MIDI file."""

    folder: Path
    corpus: str
    pair_id: str
    voice_path: Path
    piano_path: Path
    midi_path: Path | None
    min_quality: float
    licence: str = "own"


def sing_phrase(job: SingJob) -> Outcome:
    """Synthesize one phrase; its note labels are exact."""
    score = phrase_from_song(job.notes, job.seed, job.seconds) if job.notes else compose(job.seed, job.seconds)
    song = sing(score, job.seed)
    notes = estimate_velocities(song.audio, song.sample_rate, song.notes)
    pair = Pair(
        job.pair_id,
        job.corpus,
        job.singer,
        job.licence,
        "train",
        len(song.audio),
        song.sample_rate,
        tuple(notes),
        Correction(tuning=singer_tuning(notes)),
    )
    _write_voice(job.folder, pair, song.audio)
    if job.render_piano:
        _render_piano(job.folder, pair)
    return Outcome(pair)


def uses_labels(record: VoiceRecord) -> bool:
    """Whether a recording's own labels become its notes."""
    return bool(record.notes) and record.corpus not in ALIGNED_BY_SCORE


def scratch_path(folder: Path, record: VoiceRecord) -> Path:
    """Where :func:`measure_recording` leaves a voice and its track for :func:`pair_voice`."""
    return folder / record.corpus / f".{record.pair_id}.tracked.part"


def measure_recording(job: MeasureJob) -> Measurement:
    """Measure the errors of a recording's labels, and leave the voice with its track in ``scratch_path``."""
    voice = TrackedVoice.read(job.record.audio_path)
    voice.save(scratch_path(job.folder, job.record))
    return measure_labels(voice.track, job.record.notes or [])


def pair_voice(job: VoiceJob) -> Outcome:
    """Correct a recording's labels, or align its score, and render the piano."""
    record = job.record
    measured = job.measurement is not None and job.prior is not None
    voice = TrackedVoice.load(scratch_path(job.folder, record)) if measured else TrackedVoice.read(record.audio_path)
    notes: list[Note] = []
    correction, extra = Correction(), dict[str, float]()
    if job.measurement is not None and job.prior is not None:
        correction = estimate_correction(job.measurement, job.prior)
        labels = apply_correction(record.notes or [], correction, voice.duration)
        notes, extra["notes_moved"] = correct_octaves(voice.track, labels)
    if record.score and not job.reason:
        aligned, figures = _align_record(voice.track, record)
        extra |= figures
        notes = notes or apply_correction(aligned, Correction(), voice.duration)
    # without notes the track is not needed
    residual, quality = measure_fit(voice.track, notes) if notes else (float("inf"), 0.0)
    reason = job.reason or _reason(record, notes, quality, job.min_quality)
    pair = Pair(
        record.pair_id,
        record.corpus,
        record.singer,
        record.licence,
        "measure" if record.measure_only else "train",
        len(voice.audio),
        voice.sample_rate,
        tuple(estimate_velocities(voice.audio, voice.sample_rate, notes)),
        replace(correction, tuning=singer_tuning(notes), residual=residual),
        quality,
        not reason,
        reason,
    )
    if pair.kept:
        _write_voice(job.folder, pair, voice.audio)
        if job.render_piano:
            _render_piano(job.folder, pair)
    return Outcome(pair, extra)


def _align_record(track: Track, record: VoiceRecord) -> tuple[list[Note], dict[str, float]]:
    """Align a record's score; labels with as many notes give the median distance of the onsets (seconds)."""
    aligned = align_score(track, record.score or [])
    extra = {"score_residual": aligned.residual, "score_transposition": aligned.transposition}
    labels = record.notes or []
    if len(labels) == len(aligned.notes):
        lag = measure_onset_lag(track, labels)[0]
        distances = [abs(one.onset - (other.onset - lag)) for one, other in zip(aligned.notes, labels, strict=True)]
        extra["score_onset_distance"] = float(np.median(distances))
    return aligned.notes, extra


def _reason(record: VoiceRecord, notes: Sequence[Note], quality: float, min_quality: float) -> str:
    """Return why a recording is left out; empty if it is kept."""
    if notes:
        return f"quality {quality:.2f} is below min_quality {min_quality:.2f}" if quality < min_quality else ""
    if record.score or uses_labels(record):
        return "no note left inside the recording"
    return "labels have no offsets, and there is no score" if record.notes else "neither labels nor a score"


def pair_recorded(job: RecordedJob) -> Outcome:
    """Warp a recorded piano onto the voice's time axis.

    The notes are those of the MIDI file, or else transcribed from the piano. Their pitches are the sung ones where
    these can be measured, up to the octave.
    """
    voice = TrackedVoice.read(job.voice_path)
    recorded, piano_rate = read_audio(job.piano_path)
    piano = resample(to_mono(recorded), piano_rate, PIANO_SAMPLE_RATE)
    warp = find_warp(voice.audio, voice.sample_rate, piano, PIANO_SAMPLE_RATE)
    singer = f"{job.corpus}-{job.pair_id}"
    n_samples, rate = len(voice.audio), voice.sample_rate
    pair = Pair(job.pair_id, job.corpus, singer, job.licence, "train", n_samples, rate, quality=warp.quality)
    if warp.quality < job.min_quality:
        other = f"; the piano would fit better {warp.shift} semitones away" if warp.shift else ""
        reason = f"quality {warp.quality:.2f} is below min_quality {job.min_quality:.2f}{other}"
        return Outcome(replace(pair, kept=False, reason=reason))
    warped = apply_warp(piano, warp, pair.piano_n_samples)
    played = (
        _warped_notes(job.midi_path, warp, pair.duration)
        if job.midi_path
        else piano_to_notes(warped, PIANO_SAMPLE_RATE)
    )
    notes, residual = _measure_pitches(voice.track, played)
    correction = Correction(tuning=singer_tuning(notes), residual=residual)
    pair = replace(pair, notes=tuple(estimate_velocities(voice.audio, voice.sample_rate, notes)), correction=correction)
    _write_voice(job.folder, pair, voice.audio)
    write_audio(manifest.piano_path(job.folder, job.corpus, job.pair_id), warped, PIANO_SAMPLE_RATE)
    return Outcome(pair)


def _warped_notes(path: Path, warp: Warp, duration: float) -> list[Note]:
    """Read the piano's notes and move them to the voice's time axis."""
    notes = read_midi(path)
    onsets = warp.to_voice(np.array([note.onset for note in notes]))
    offsets = warp.to_voice(np.array([note.offset for note in notes]))
    moved = [
        replace(note, onset=float(max(onset, 0.0)), offset=float(min(offset, duration)))
        for note, onset, offset in zip(notes, onsets, offsets, strict=True)
        if min(offset, duration) > max(onset, 0.0)
    ]
    return sorted(moved)


def _measure_pitches(track: Track, played: Sequence[Note]) -> tuple[list[Note], float]:
    """Replace the piano's pitches by the sung ones where both match; also their median distance, semitones.

    The voice may sing in another octave than the piano plays.
    """
    measured = note_pitches(track, played)
    distances = measured - np.array([note.pitch for note in played])
    distances -= 12 * np.round(np.nanmedian(distances) / 12) if np.isfinite(distances).any() else 0
    near = np.abs(distances) < 1.0
    notes = [
        replace(note, pitch=float(pitch)) if close else note
        for note, pitch, close in zip(played, measured, near, strict=True)
    ]
    return notes, float(np.nanmedian(np.abs(distances))) if np.isfinite(distances).any() else float("inf")


def _write_voice(folder: Path, pair: Pair, voice: NDArray[np.float32]) -> None:
    write_audio(manifest.voice_path(folder, pair.corpus, pair.pair_id), voice, pair.voice_sample_rate)


def _render_piano(folder: Path, pair: Pair) -> None:
    """Render a pair's notes on the piano, exactly as long as the voice."""
    piano = _piano().render(to_keys(pair.notes, pair.correction.tuning), pair.piano_n_samples)
    write_audio(manifest.piano_path(folder, pair.corpus, pair.pair_id), piano, PIANO_SAMPLE_RATE)


@lru_cache(maxsize=1)
def _piano() -> SampledPiano:
    return SampledPiano.load(channels=1)
