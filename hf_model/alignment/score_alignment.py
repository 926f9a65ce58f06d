"""Alignment of a score without timing to a voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.pitch_tracking import FRAME_RATE, ONSET_LEAD, Track
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch

_CAP = 3.0
"""Semitones; maximum cost of a frame, so that one wrong note does not shift the others."""
_UNVOICED_IN_NOTE = 1.0
_VOICED_IN_REST = 1.5
_NEW_NOTE = 4.0
"""Cost of starting a note where there is no onset; 0 at the strongest onsets."""
_NEW_REST = 2.0
_PEAK_REACH = 5
"""Frames to both sides."""


@dataclass(frozen=True)
class Alignment:
    """A score with the times and the tuning of a voice.

    Attributes
    ----------
    notes : list of Note
        With the score's pitches, transposed to the sung key and tuning (float).
    transposition : float
        Semitones from the score to the voice.
    residual : float
        Mean distance between voiced frames and their notes, semitones; each at most 3.
    """

    notes: list[Note]
    transposition: float
    residual: float


def align_score(track: Track, score: Sequence[Note], free_key: bool = True) -> Alignment:
    """Align a melody to a voice by dynamic time warping on pitch and onsets.

    Only the order of the score's notes is used. Rests between notes are optional; every note has at least one frame.

    Parameters
    ----------
    track : Track
        The voice.
    score : sequence of Note
        At least one note.
    free_key : bool
        Whether the singer may use another key than the score.

    Raises
    ------
    ValueError
        For an empty score, or a recording with too few frames for its notes.
    """
    n_frames = len(track.f0)
    if not score or n_frames < 2 * len(score) + 1:
        msg = (
            f"score has {len(score)} notes, allowed is 1 to {(n_frames - 1) // 2} for a recording of {n_frames} frames"
        )
        raise ValueError(msg)
    pitches = np.array([note.pitch for note in sorted(score)])
    # a quarter of the frames is enough for the key
    coarse = track.downsampled(max(1, min(4, n_frames // (4 * len(score)))))
    tried = [
        (_align(coarse, pitches + shift)[0], abs(shift), shift) for shift in _candidate_keys(track, pitches, free_key)
    ]
    transposition = min(tried)[2]
    # the second pass uses the tuning of the first
    for _ in range(2):
        _, starts, ends = _align(track, pitches + transposition)
        transposition += _offset(track, pitches + transposition, starts, ends)
    onsets = starts / FRAME_RATE + ONSET_LEAD
    offsets = ends / FRAME_RATE
    offsets[:-1] = np.where(ends[:-1] == starts[1:], onsets[1:], offsets[:-1])
    offsets = np.maximum(offsets, onsets + 1.0 / FRAME_RATE)
    notes = [
        replace(note, onset=float(onset), offset=float(offset), pitch=float(np.clip(pitch, 0, 127)))
        for note, pitch, onset, offset in zip(sorted(score), pitches + transposition, onsets, offsets, strict=True)
    ]
    return Alignment(notes, float(transposition), _residual(track, pitches + transposition, starts, ends))


def _candidate_keys(track: Track, pitches: NDArray[np.float64], free_key: bool) -> list[float]:
    """List candidate transpositions (semitones): 0, and those around the difference of the medians."""
    voiced = track.voiced
    if not free_key or not voiced.any():
        return [0.0]
    shift = round(float(np.median(hz_to_pitch(track.f0[voiced])) - np.median(pitches)))
    return sorted({0.0, *(float(shift + step) for step in range(-3, 4)), float(shift - 12), float(shift + 12)})


def _align(track: Track, pitches: NDArray[np.float64]) -> tuple[float, NDArray[np.int64], NDArray[np.int64]]:
    """Find the path of least cost through the states rest, note, rest, ..., note, rest.

    Returns its cost, and the first frame of each note and the frame after its last.
    """
    n_notes, n_frames = len(pitches), len(track.f0)
    n_states = 2 * n_notes + 1
    stay_costs, enter = _costs(track, pitches)
    best = np.full(n_states, np.inf)
    best[0], best[1] = stay_costs[0, 0], stay_costs[0, 1]
    steps = np.zeros((n_frames, n_states), dtype=np.int8)
    is_note = np.arange(n_states) % 2 == 1
    for frame in range(1, n_frames):
        from_before = np.concatenate([[np.inf], best[:-1]])
        from_two_before = np.where(is_note, np.concatenate([[np.inf, np.inf], best[:-2]]), np.inf)
        price = np.where(is_note, enter[frame], _NEW_REST)
        options = np.stack([best, from_before + price, from_two_before + price])
        steps[frame] = np.argmin(options, axis=0)
        best = np.take_along_axis(options, steps[None, frame], axis=0)[0] + stay_costs[frame]
    state = n_states - 1 if best[-1] <= best[-2] else n_states - 2
    total = float(best[state])
    path = np.empty(n_frames, dtype=np.int64)
    for frame in range(n_frames - 1, -1, -1):
        path[frame] = state
        state -= int(steps[frame, state])
    numbers = 2 * np.arange(n_notes) + 1
    return total, np.searchsorted(path, numbers, "left"), np.searchsorted(path, numbers, "right")


def _costs(track: Track, pitches: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cost of each frame in each state (frame, state), and of starting a note in each frame (frame,)."""
    voiced = track.voiced
    sung = hz_to_pitch(np.maximum(track.f0, 1.0))
    distance = np.minimum(np.abs(sung[:, None] - pitches[None, :]), _CAP)
    costs = np.empty((len(sung), 2 * len(pitches) + 1))
    costs[:, 1::2] = np.where(voiced[:, None], distance, _UNVOICED_IN_NOTE)
    costs[:, 0::2] = np.where(voiced, _VOICED_IN_REST, 0.0)[:, None]
    # only the peak of an onset is cheap, so that one onset starts one note
    strength = track.onset_strength
    around = np.lib.stride_tricks.sliding_window_view(np.pad(strength, _PEAK_REACH), 2 * _PEAK_REACH + 1)
    peaks = np.where(strength >= around.max(axis=1), strength, 0.0)
    strong = max(float(np.percentile(strength, 95)), 1e-9)
    return costs, _NEW_NOTE * (1.0 - np.minimum(peaks / strong, 1.0))


def _offset(track: Track, pitches: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> float:
    """Median distance (semitones) from the notes to the sung pitch, over frames nearer than the cap."""
    distances = _distances(track, pitches, starts, ends)
    near = distances[np.abs(distances) < _CAP]
    return float(np.median(near)) if near.size else 0.0


def _residual(track: Track, pitches: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> float:
    distances = np.minimum(np.abs(_distances(track, pitches, starts, ends)), _CAP)
    return float(distances.mean()) if distances.size else _CAP


def _distances(
    track: Track, pitches: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    voiced = track.voiced
    sung = hz_to_pitch(np.maximum(track.f0, 1.0))
    parts = [
        sung[start:end][voiced[start:end]] - pitch for pitch, start, end in zip(pitches, starts, ends, strict=True)
    ]
    return np.concatenate(parts)
