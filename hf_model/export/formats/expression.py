"""What a voice does within its notes: deviations from the keys, for formats that keep the performance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.music.arrangement import Arranged
from hf_model.notes.note import Note
from hf_model.transcriber.pitch_curve import PitchCurve

BLEND_SECONDS = 0.06
"""The pitch curve may pass from note to note so long after an onset."""

NEAR = 0.7
"""Semitones from the note's pitch."""


@dataclass(frozen=True, eq=False)
class Expression:
    """The deviation of the voice within one played note.

    Attributes
    ----------
    key : Note
    times : ndarray, shape (point,)
        Seconds, the first at the onset of the key, all before its offset.
    semitones : ndarray, shape (point,)
        Sung pitch above the key, without the singer's tuning.
    """

    key: Note
    times: NDArray[np.float64]
    semitones: NDArray[np.float64]


def find_expression(arranged: Arranged, curve: PitchCurve) -> list[Expression]:
    """Cut the curve into the notes of the right hand.

    Deviations are those from the key nearest to each sung note: where the arrangement plays another key (transposition,
    a corrected note), they are kept. They begin with the played note if it was moved in time.
    """
    found = []
    for sung, key in zip(arranged.notes, arranged.piano_notes, strict=True):
        nearest = np.floor(sung.pitch - arranged.tuning + 0.5)
        first = sung.onset * curve.frame_rate
        frames = np.arange(np.ceil(first), first + key.duration * curve.frame_rate)
        times = key.onset + np.maximum(frames / curve.frame_rate - sung.onset, 0.0)
        at = np.clip(frames.astype(np.int64), 0, len(curve.pitch) - 1)
        if not len(frames) or times[0] > key.onset:
            before = np.clip(int(first), 0, len(curve.pitch) - 1)
            times, at = np.concatenate([[key.onset], times]), np.concatenate([[before], at])
        deviation = curve.filled[at] - arranged.tuning - nearest
        found.append(
            Expression(key, times, _without_last_note(deviation, sung.pitch - arranged.tuning - nearest, curve))
        )
    return found


def _without_last_note(deviation: NDArray[np.float64], usual: float, curve: PitchCurve) -> NDArray[np.float64]:
    """Replace the beginning, while it still has the pitch of the note before, by the first frame near this one."""
    n_first = min(len(deviation), round(BLEND_SECONDS * curve.frame_rate))
    near = np.flatnonzero(np.abs(deviation[: n_first + 1] - usual) <= NEAR)
    if len(near) and near[0]:
        deviation = deviation.copy()
        deviation[: near[0]] = deviation[near[0]]
    return deviation
