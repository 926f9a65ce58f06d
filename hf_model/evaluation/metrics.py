"""How right the notes are: mir_eval's measures of one recording, and their mean over many."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.notes.note import Note, to_arrays
from hf_model.notes.pitch import pitch_to_hz

ONSET_TOLERANCE = 0.05
"""Seconds, either side."""

PITCH_TOLERANCE_CENTS = 50.0

OFFSET_RATIO, OFFSET_MIN_TOLERANCE = 0.2, 0.05
"""An offset may be off by the larger of 20 % of the reference note's duration and 50 ms."""

MELODY_FRAME_RATE = 100.0
"""Frames a second of the melody measures."""


@dataclass(frozen=True)
class NoteErrors:
    """Estimate minus reference, one value a matched note (onset within 50 ms; any pitch).

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
    E. Molina et al., "Evaluation framework for automatic singing transcription", ISMIR 2014; the measures themselves
    are mir_eval's.
    """
    if not reference or not estimate:
        value = float(not reference and not estimate)
        names = (f"{name}{part}" for name in ("con", "conp", "conpoff") for part in ("", "_precision", "_recall"))
        return {**dict.fromkeys(names, value), "onset_bias": math.nan, "octave_error_share": math.nan}
    from mir_eval import transcription

    reference_times, reference_hz = _for_mir_eval(reference)
    estimate_times, estimate_hz = _for_mir_eval(estimate)
    con = transcription.onset_precision_recall_f1(reference_times, estimate_times, onset_tolerance=ONSET_TOLERANCE)
    both = (reference_times, reference_hz, estimate_times, estimate_hz)
    tolerances = {"onset_tolerance": ONSET_TOLERANCE, "pitch_tolerance": PITCH_TOLERANCE_CENTS}
    conp = transcription.precision_recall_f1_overlap(*both, **tolerances, offset_ratio=None)
    conpoff = transcription.precision_recall_f1_overlap(
        *both, **tolerances, offset_ratio=OFFSET_RATIO, offset_min_tolerance=OFFSET_MIN_TOLERANCE
    )
    scores: dict[str, float] = {}
    for name, (precision, recall, f_measure, *_) in (("con", con), ("conp", conp), ("conpoff", conpoff)):
        scores |= {name: f_measure, f"{name}_precision": precision, f"{name}_recall": recall}
    errors = note_errors(reference, estimate)
    right = np.abs(errors.pitch) <= PITCH_TOLERANCE_CENTS / 100
    octaves = np.round(errors.pitch / 12)
    octave_off = (octaves != 0) & (np.abs(errors.pitch - 12 * octaves) <= PITCH_TOLERANCE_CENTS / 100)
    scores["onset_bias"] = float(np.median(errors.onset[right])) if right.any() else math.nan
    scores["octave_error_share"] = float(octave_off.mean()) if octave_off.size else math.nan
    return {name: float(value) for name, value in scores.items()}


def note_errors(reference: Sequence[Note], estimate: Sequence[Note]) -> NoteErrors:
    """Pair notes by onset and return what each pair is off by."""
    if not reference or not estimate:
        nothing = np.zeros(0)
        return NoteErrors(nothing, nothing, nothing)
    from mir_eval import transcription

    reference_times, _ = _for_mir_eval(reference)
    estimate_times, _ = _for_mir_eval(estimate)
    pairs = transcription.match_note_onsets(reference_times, estimate_times, onset_tolerance=ONSET_TOLERANCE)
    truth = [reference[index] for index, _ in pairs]
    found = [estimate[index] for _, index in pairs]
    return NoteErrors(
        onset=np.array([b.onset - a.onset for a, b in zip(truth, found, strict=True)], dtype=np.float64),
        offset=np.array([b.offset - a.offset for a, b in zip(truth, found, strict=True)], dtype=np.float64),
        pitch=np.array([b.pitch - a.pitch for a, b in zip(truth, found, strict=True)], dtype=np.float64),
    )


def _for_mir_eval(notes: Sequence[Note]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    intervals, pitches = to_arrays(notes)
    intervals = np.maximum(intervals, 0.0)
    intervals[:, 1] = np.maximum(intervals[:, 1], intervals[:, 0] + 1e-4)
    return intervals, pitch_to_hz(pitches)


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
        NaN where the reference has no frame to ask about.
    """
    from mir_eval import melody

    if reference.shape != estimate.shape:
        msg = f"estimate has {estimate.shape} frames, reference {reference.shape}; both must lie on one grid"
        raise ValueError(msg)
    voiced = reference > 0
    answered = estimate > 0
    scores = {
        "rpa": math.nan,
        "rca": math.nan,
        "voicing_recall": float(answered[voiced].mean()) if voiced.any() else math.nan,
        "voicing_false_alarm": float(answered[~voiced].mean()) if (~voiced).any() else math.nan,
    }
    if voiced.any():
        reference_cents = melody.hz2cents(np.where(voiced, reference, 0.0))
        estimate_cents = melody.hz2cents(np.where(answered, estimate, 0.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mir_eval warns where the estimate is silent: the score 0 says it
            arguments = (voiced.astype(float), reference_cents, answered.astype(float), estimate_cents)
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
        One score a recording; NaN (no answer) is left out. For a paired comparison: differences.
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
