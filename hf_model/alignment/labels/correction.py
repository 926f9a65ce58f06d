"""Systematic errors of a recording's note labels: measured against the voice, and corrected.

A constant lag of the onsets or offsets, a constant pitch bias in Hz, a wrong octave. Each is one number a recording, so
that no single doubtful note is fitted to the voice. Only octave errors are corrected note by note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.correction import Correction
from hf_model.audio.pitch_tracking import FRAME_RATE, ONSET_LEAD, Track
from hf_model.notes.note import Note
from hf_model.notes.pitch import estimate_tuning, hz_to_pitch, pitch_to_hz

MAX_LAG = 0.08
"""Seconds; lags are searched between minus and plus this."""

LAG_STEP = 0.0025
"""Seconds."""

LEGATO = 0.03
"""Seconds; notes with a shorter gap between them are legato."""

LAG_BLUR = 0.012
"""Seconds; standard deviation of the kernel that smooths the onset curve, about the precision of annotators."""

NEAR = 1.0
"""Semitones; a frame within this distance of its label matches it, so that vibrato and scoops are no errors."""

_MAX_BIAS = 1.8
"""Semitones; a larger difference is another note, not a bias."""
_EDGE = 0.2
"""Fraction of a note that is left out at each end when its pitch is measured."""
_MIN_FRAMES = 4
_MIN_EVENTS = 4
_RESAMPLES = 100


@dataclass(frozen=True)
class Measurement:
    """Errors of one recording's labels, with standard errors.

    Attributes
    ----------
    onset_lag, onset_lag_error, offset_lag, offset_lag_error : float
        Seconds by which labels are late; the error is infinite if there are too few events.
    pitch_bias_hz, pitch_bias_error : float
        Hz by which labels are too high.
    octave : int
        Octaves by which labels are too high.
    n_notes : int
        Notes whose pitch could be measured.
    """

    onset_lag: float
    onset_lag_error: float
    offset_lag: float
    offset_lag_error: float
    pitch_bias_hz: float
    pitch_bias_error: float
    octave: int
    n_notes: int


@dataclass(frozen=True)
class Prior:
    """Distribution of the label errors in a corpus: median and spread (standard deviation) over its recordings."""

    onset_lag: float
    onset_lag_spread: float
    offset_lag: float
    offset_lag_spread: float
    pitch_bias_hz: float
    pitch_bias_spread: float


def measure_labels(track: Track, notes: Sequence[Note]) -> Measurement:
    """Measure the errors of a recording's labels."""
    measured = note_pitches(track, notes)
    found = np.isfinite(measured)
    labels = np.array([note.pitch for note in notes])[found]
    measured = measured[found]
    octave = _common_octave(labels - measured)
    labels = labels - 12 * octave
    distance = labels - measured
    same = np.abs(distance - 12 * np.round(distance / 12)) < _MAX_BIAS
    same_octave = measured[same] + 12 * np.round(distance[same] / 12)
    bias, bias_error = _median_and_error(pitch_to_hz(labels[same]) - pitch_to_hz(same_octave))
    lags = (*measure_onset_lag(track, notes), *measure_offset_lag(track, notes))
    return Measurement(*lags, bias, bias_error, octave, int(same.sum()))


def measure_onset_lag(track: Track, notes: Sequence[Note]) -> tuple[float, float]:
    """Measure the seconds by which the labelled onsets are late, and the standard error."""
    lag, error = _lag(track.onset_strength, [note.onset for note in notes])
    return lag - (ONSET_LEAD if np.isfinite(error) else 0.0), error


def measure_offset_lag(track: Track, notes: Sequence[Note]) -> tuple[float, float]:
    """Measure the same for offsets, over the notes that are followed by a gap."""
    followers = [*(note.onset for note in notes), float("inf")][1:]
    free = [note.offset for note, after in zip(notes, followers, strict=True) if after - note.offset > 2 * LEGATO]
    return _lag(track.offset_strength, free)


def _lag(strength: NDArray[np.float64], times: Sequence[float]) -> tuple[float, float]:
    """Find the lag that maximises the mean of the smoothed curve over the times, and its bootstrap standard error."""
    lags = np.arange(-MAX_LAG, MAX_LAG + LAG_STEP / 2, LAG_STEP)
    if len(times) < _MIN_EVENTS or not strength.any():
        return 0.0, float("inf")
    # so that no single loud consonant decides
    curve = np.minimum(strength, np.percentile(strength, 98))
    reach = np.arange(-4, 5) / FRAME_RATE
    kernel = np.exp(-0.5 * (reach / LAG_BLUR) ** 2)
    curve = np.convolve(curve, kernel / kernel.sum(), mode="same")
    events = np.array(times)
    values = np.interp(events[:, None] - lags[None, :], np.arange(len(curve)) / FRAME_RATE, curve)
    random = np.random.default_rng(0)
    draws = random.integers(len(events), size=(_RESAMPLES, len(events)))
    weights = np.stack([np.bincount(draw, minlength=len(events)) for draw in draws])
    found = _peaks(lags, weights @ values)
    return float(_peaks(lags, values.sum(axis=0, keepdims=True))[0]), float(max(found.std(), LAG_STEP))


def note_pitches(track: Track, notes: Sequence[Note]) -> NDArray[np.float64]:
    """Measure the pitch of each note (note,): the median of its middle's voiced frames, NaN where there are few."""
    voiced = track.voiced
    pitches = np.full(len(notes), np.nan)
    for index, note in enumerate(notes):
        edge = _EDGE * note.duration
        inside = _frames(note.onset + edge, note.offset - edge, len(voiced))
        frames = track.f0[inside][voiced[inside]]
        if len(frames) >= _MIN_FRAMES:
            pitches[index] = hz_to_pitch(np.median(frames))
    return pitches


def corpus_prior(measurements: Sequence[Measurement]) -> Prior:
    """Estimate the distribution of label errors from all recordings of a corpus."""
    return Prior(
        *_distribution([(m.onset_lag, m.onset_lag_error) for m in measurements], min_spread=0.003),
        *_distribution([(m.offset_lag, m.offset_lag_error) for m in measurements], min_spread=0.003),
        *_distribution([(m.pitch_bias_hz, m.pitch_bias_error) for m in measurements], min_spread=0.3),
    )


def estimate_correction(measurement: Measurement, prior: Prior) -> Correction:
    """Shrink a recording's measurement towards its corpus, by their variances.

    A measurement that differs from its corpus by more than three standard deviations is used as it is.
    """

    def shrunk(value: float, error: float, expected: float, spread: float) -> float:
        if not np.isfinite(error):
            return expected
        variance = spread**2 + error**2
        weight = 1.0 if (value - expected) ** 2 > 9 * variance else spread**2 / variance
        return expected + weight * (value - expected)

    return Correction(
        onset_lag=shrunk(measurement.onset_lag, measurement.onset_lag_error, prior.onset_lag, prior.onset_lag_spread),
        offset_lag=shrunk(
            measurement.offset_lag, measurement.offset_lag_error, prior.offset_lag, prior.offset_lag_spread
        ),
        octave=measurement.octave,
        pitch_bias_hz=shrunk(
            measurement.pitch_bias_hz, measurement.pitch_bias_error, prior.pitch_bias_hz, prior.pitch_bias_spread
        ),
    )


def apply_correction(notes: Sequence[Note], correction: Correction, duration: float) -> list[Note]:
    """Correct labels; the result is sorted by onset.

    Onsets and offsets move by different lags, but legato notes stay legato and no notes overlap. Notes are cut to the
    recording (0 to ``duration`` seconds), and dropped if nothing is left.
    """
    corrected = []
    ordered = sorted(notes)
    for note, after in zip(ordered, [*ordered[1:], None], strict=True):
        hz = pitch_to_hz(note.pitch - 12 * correction.octave) - correction.pitch_bias_hz
        onset = max(0.0, note.onset - correction.onset_lag)
        offset = min(duration, note.offset - correction.offset_lag)
        if after is not None:
            limit = after.onset - correction.onset_lag
            offset = limit if after.onset - note.offset < LEGATO else min(offset, limit)
        if offset > onset and 8.2 < hz < 12000.0:
            corrected.append(replace(note, onset=onset, offset=offset, pitch=float(hz_to_pitch(hz))))
    return corrected


def correct_octaves(track: Track, notes: Sequence[Note]) -> tuple[list[Note], int]:
    """Correct single notes with clear octave errors; returns all notes and the number of corrected ones."""
    measured = note_pitches(track, notes)
    corrected = []
    for note, pitch in zip(notes, measured, strict=True):
        octaves = 0 if np.isnan(pitch) else round((note.pitch - pitch) / 12)
        clear = octaves and abs(note.pitch - 12 * octaves - pitch) < 1.0 and share_near(track, note, pitch) > 0.8
        corrected.append(replace(note, pitch=note.pitch - 12 * octaves) if clear else note)
    return corrected, sum(one is not other for one, other in zip(notes, corrected, strict=True))


def measure_fit(track: Track, notes: Sequence[Note]) -> tuple[float, float]:
    """Measure how well notes fit a voice.

    Returns
    -------
    residual : float
        Median distance of the notes' pitches from the measured ones, semitones; infinite if none could be measured.
    quality : float
        0-1: F-measure of the frames that are voiced within ``NEAR`` of their label, against all labelled and all voiced
        frames. Octave errors count as errors.
    """
    voiced = track.voiced
    labelled, near = np.zeros(len(voiced), dtype=bool), np.zeros(len(voiced), dtype=bool)
    pitch = hz_to_pitch(np.maximum(track.f0, 1.0))
    for note in notes:
        inside = _frames(note.onset, note.offset, len(voiced))
        labelled[inside] = True
        near[inside] |= voiced[inside] & (np.abs(pitch[inside] - note.pitch) < NEAR)
    measured = note_pitches(track, notes)
    distances = np.abs(measured - np.array([note.pitch for note in notes]))
    known = distances[np.isfinite(distances)]
    total = int(labelled.sum() + voiced.sum())
    return (float(np.median(known)) if known.size else float("inf")), (2.0 * near.sum() / total if total else 0.0)


def singer_tuning(notes: Sequence[Note]) -> float:
    """Estimate the singer's offset from 440 Hz tuning, semitones."""
    return estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])


def _frames(start: float, stop: float, n_frames: int) -> slice:
    """Frames whose centres lie in [start, stop) seconds."""
    return slice(max(0, int(np.ceil(start * FRAME_RATE))), max(0, min(n_frames, int(np.ceil(stop * FRAME_RATE)))))


def share_near(track: Track, note: Note, pitch: float) -> float:
    """Compute the share of a note's frames that are voiced within ``NEAR`` of a pitch."""
    inside = _frames(note.onset, note.offset, len(track.f0))
    near = np.abs(hz_to_pitch(track.f0[inside]) - pitch) < NEAR
    return float((near & track.voiced[inside]).mean()) if near.size else 0.0


def _peaks(lags: NDArray[np.float64], curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Locate the maximum of each curve (curve, lag) by a parabola through the points 10 ms to its left and right."""
    reach = round(1.0 / FRAME_RATE / LAG_STEP)
    best = np.argmax(curves, axis=1)
    rows, inner = np.arange(len(curves)), np.clip(best, reach, len(lags) - 1 - reach)
    left, middle, right = curves[rows, inner - reach], curves[rows, inner], curves[rows, inner + reach]
    bend = np.minimum(left - 2 * middle + right, -1e-9)
    shift = np.clip(0.5 * (left - right) / bend, -1.0, 1.0) * reach * LAG_STEP
    return np.asarray(np.clip(lags[inner] + shift, -MAX_LAG, MAX_LAG))


def _common_octave(distances: NDArray[np.float64]) -> int:
    """Return the octave error that at least 60 % of the notes share; else 0."""
    if not distances.size:
        return 0
    octaves, counts = np.unique(np.round(distances / 12).astype(int), return_counts=True)
    best = int(np.argmax(counts))
    return int(octaves[best]) if counts[best] >= 0.6 * len(distances) else 0


def _median_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and its standard error, from the median absolute deviation."""
    if values.size < 3:
        return 0.0, float("inf")
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle, 1.2533 * max(spread, 0.05) / float(np.sqrt(values.size))


def _distribution(values: Sequence[tuple[float, float]], min_spread: float) -> tuple[float, float]:
    """Median of (value, error) pairs, and the spread that the errors do not explain, at least ``min_spread``."""
    known = [(value, error) for value, error in values if np.isfinite(error)]
    if not known:
        return 0.0, min_spread
    numbers = np.array([value for value, _ in known])
    middle = float(np.median(numbers))
    spread = 1.4826 * float(np.median(np.abs(numbers - middle)))
    unexplained = spread**2 - float(np.median([error for _, error in known])) ** 2
    return middle, float(np.sqrt(max(unexplained, min_spread**2)))
