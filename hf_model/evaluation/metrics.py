"""The scores of one recording, and the bootstrap interval of a mean over recordings.

Scores are those of mir_eval. Notes are matched by SciPy (:mod:`hf_model.evaluation.note_matching`): as many as mir_eval
matches, but of several largest matchings it may choose another, which the errors of :func:`note_errors` depend on.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.evaluation.note_matching import PITCH_TOLERANCE, RULES, match_notes, match_pairs
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz

MELODY_FRAME_RATE = 100.0
"""Frames a second of the melody measures."""


@dataclass(frozen=True)
class NoteErrors:
    """Estimate minus reference of each pair of notes whose onsets match, whatever their pitches.

    Attributes
    ----------
    onset, offset : ndarray, shape (match,)
        Seconds; positive is late.
    pitch : ndarray, shape (match,)
        Semitones; positive is sharp.
    """

    onset: NDArray[np.float64]
    offset: NDArray[np.float64]
    pitch: NDArray[np.float64]


def note_scores(reference: Sequence[Note], estimate: Sequence[Note]) -> dict[str, float]:
    """Score the notes of one recording.

    Parameters
    ----------
    reference, estimate : sequence of Note
        Seconds and float MIDI numbers; what begins before 0 s is cut there.

    Returns
    -------
    dict of str to float
        ``con``, ``conp``, ``conpoff``: F-measure of correct onset; and pitch; and offset (tolerances 50 ms, 50 cents,
        the larger of 50 ms and 20 %), each with ``_precision`` and ``_recall``.
        ``onset_bias``: median of estimate minus reference over notes correct in onset and pitch, seconds.
        ``octave_error_share``: the share of notes with the right onset whose pitch is wrong by whole octaves.
        The last two are NaN where no note matches. Without notes on both sides the scores are 1, on one side 0.

    References
    ----------
    E. Molina et al., "Evaluation framework for automatic singing transcription", ISMIR 2014; C. Raffel et al.,
    "mir_eval: a transparent implementation of common MIR metrics", ISMIR 2014.
    """
    if not reference or not estimate:
        value = float(not reference and not estimate)
        names = (f"{name}{part}" for name in RULES for part in ("", "_precision", "_recall"))
        return {**dict.fromkeys(names, value), "onset_bias": math.nan, "octave_error_share": math.nan}
    matches = match_notes(_from_zero(reference), _from_zero(estimate))
    scores: dict[str, float] = {}
    for name in RULES:
        precision, recall = getattr(matches, name) / len(estimate), getattr(matches, name) / len(reference)
        f_measure = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        scores |= {name: f_measure, f"{name}_precision": precision, f"{name}_recall": recall}
    errors = note_errors(reference, estimate)
    right = np.abs(errors.pitch) <= PITCH_TOLERANCE
    octaves = is_octave_error(errors.pitch)
    scores["onset_bias"] = float(np.median(errors.onset[right])) if right.any() else math.nan
    scores["octave_error_share"] = float(octaves.mean()) if octaves.size else math.nan
    return scores


def is_octave_error(pitch_error: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether pitches are off by whole octaves, but not by 0: errors (note,) in semitones."""
    octaves = np.round(pitch_error / 12)
    return np.asarray((octaves != 0) & (np.abs(pitch_error - 12 * octaves) <= PITCH_TOLERANCE))


def note_errors(reference: Sequence[Note], estimate: Sequence[Note]) -> NoteErrors:
    """Match notes by onset and return the errors of each pair."""
    matched = match_pairs(_from_zero(reference), _from_zero(estimate), "con")
    pairs = [(reference[i], estimate[j]) for i, j in matched]
    return NoteErrors(
        onset=np.array([other.onset - one.onset for one, other in pairs], dtype=np.float64),
        offset=np.array([other.offset - one.offset for one, other in pairs], dtype=np.float64),
        pitch=np.array([other.pitch - one.pitch for one, other in pairs], dtype=np.float64),
    )


def _from_zero(notes: Sequence[Note]) -> list[Note]:
    """Cut notes at 0 s."""
    return [note if note.onset >= 0 else replace(note, onset=0.0, offset=max(note.offset, 1e-4)) for note in notes]


def notes_to_melody(notes: Sequence[Note], duration: float) -> NDArray[np.float64]:
    """Lay notes on a grid of 100 frames a second: f0 in Hz, 0 where nothing sounds, shape (frame,)."""
    n_frames = 1 + math.floor(duration * MELODY_FRAME_RATE)
    f0 = np.zeros(n_frames)
    for note in sorted(notes):
        first = max(0, math.ceil(note.onset * MELODY_FRAME_RATE))
        f0[first : max(0, math.ceil(note.offset * MELODY_FRAME_RATE))] = float(pitch_to_hz(note.pitch))
    return f0


def melody_scores(reference: NDArray[np.float64], estimate: NDArray[np.float64]) -> dict[str, float]:
    """Score a melody frame by frame.

    Parameters
    ----------
    reference, estimate : ndarray, shape (frame,)
        f0 in Hz on the same grid, 0 where unvoiced.

    Returns
    -------
    dict of str to float
        ``rpa`` and ``rca`` (raw pitch and chroma accuracy, 50 cents), ``voicing_recall``, ``voicing_false_alarm``;
        NaN where the reference has no such frame.
    """
    from mir_eval import melody

    if reference.shape != estimate.shape:
        msg = f"estimate has {estimate.shape} frames, reference {reference.shape}; both must lie on one grid"
        raise ValueError(msg)
    voiced = reference > 0
    estimated = estimate > 0
    scores = {
        "rpa": math.nan,
        "rca": math.nan,
        "voicing_recall": float(estimated[voiced].mean()) if voiced.any() else math.nan,
        "voicing_false_alarm": float(estimated[~voiced].mean()) if (~voiced).any() else math.nan,
    }
    if voiced.any():
        reference_cents = melody.hz2cents(np.where(voiced, reference, 0.0))
        estimate_cents = melody.hz2cents(np.where(estimated, estimate, 0.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mir_eval warns where the estimate is silent; the score is then 0
            arguments = (voiced.astype(float), reference_cents, estimated.astype(float), estimate_cents)
            scores["rpa"] = float(melody.raw_pitch_accuracy(*arguments))
            scores["rca"] = float(melody.raw_chroma_accuracy(*arguments))
    return scores


def bootstrap_mean(
    values: ArrayLike, n_resamples: int, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """Average over recordings, with a percentile interval from resampling the recordings.

    Parameters
    ----------
    values : array_like, shape (recording,)
        One score a recording; NaN is left out. For a paired comparison: differences.
    n_resamples : int
        Resamplings; at least 1.
    seed : int
        The same seed gives the same interval.
    level : float
        Coverage in (0, 1).

    Returns
    -------
    mean, low, high : float
        NaN without values.
    """
    kept = np.asarray(values, dtype=np.float64)
    kept = kept[~np.isnan(kept)]
    if kept.size == 0:
        return math.nan, math.nan, math.nan
    draws = np.random.default_rng(seed).integers(0, kept.size, size=(n_resamples, kept.size))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(kept[draws].mean(axis=1), [tail, 1.0 - tail])
    return float(kept.mean()), float(low), float(high)
