"""Which notes were really sung: onsets, offsets, pitches and velocities as a person would mark them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.singer.phrasing import Sung
from hf_model.singer.vocal_tract import CONTROL_RATE, Controls, frames_between


def heard(
    sung: Sequence[Sung],
    controls: Controls,
    audio: NDArray[np.float64],
    sample_rate: int,
    sonorant_first: float,
    sonorant_onset: float,
    sonorant_offset: float,
) -> list[Note]:
    """List the notes as they came out, measured on the curves and the sound.

    Parameters
    ----------
    controls : Controls
        The curves that were rendered.
    audio : ndarray, shape (sample,)
        What came out.
    sonorant_first, sonorant_onset, sonorant_offset : float
        Where in a nasal, lateral or glide a note starts after a silence, where it starts bound to the one before, and
        where that one ends; 0 its begin, 1 the vowel's.

    Returns
    -------
    list of Note
        Velocity 80 is the median loudness of the song's notes; one step is one dB.
    """
    pitch, loudness = controls.pitch, controls.voice
    onsets = [_onset(note, loudness, sonorant_onset if note.bound else sonorant_first) for note in sung]
    found: list[tuple[float, float, float, float]] = []
    for i, note in enumerate(sung):
        if not note.is_note:
            continue
        offset = _offset(note, loudness)
        if i + 1 < len(sung):
            following = sung[i + 1]
            if following.bound and following.sonorant:
                offset = following.start + sonorant_offset * (following.onset - following.start)
            elif following.bound and following.dip > 0.3:
                offset = onsets[i + 1]
            offset = min(offset, onsets[i + 1])
        offset = max(offset, onsets[i] + 0.03)
        part = slice(int(onsets[i] * sample_rate), int(offset * sample_rate) + 1)
        power = float(np.mean(audio[part] ** 2)) + 1e-12
        found.append((onsets[i], offset, _steady_pitch(pitch, onsets[i], offset), power))
    middle = float(np.median([power for *_, power in found]))
    return [
        Note(onset, offset, sung_pitch, int(np.clip(round(80 + 20.0 * np.log10(power / middle)), 20, 120)))
        for onset, offset, sung_pitch, power in found
    ]


def _onset(note: Sung, loudness: NDArray[np.float64], in_sonorant: float) -> float:
    """Where a person hears the note begin: where the voice has risen to a third of its strength."""
    if note.bound or note.sonorant:
        return note.start + in_sonorant * (note.onset - note.start)
    part = frames_between(note.onset, note.offset, len(loudness))
    curve = loudness[part]
    risen = int(np.argmax(curve > 0.35 * np.quantile(curve, 0.8))) / CONTROL_RATE if len(curve) else 0.0
    return note.onset + min(risen, 0.08)


def _offset(note: Sung, loudness: NDArray[np.float64]) -> float:
    """Where the voice has fallen to a fifth of what it was towards the note's end."""
    part = frames_between(note.onset, note.offset, len(loudness))
    curve = loudness[part]
    if not len(curve):
        return note.offset
    sounding = np.flatnonzero(curve > 0.2 * np.quantile(curve[len(curve) // 2 :], 0.8))
    return (
        max(note.offset - 0.12, (part.start + int(sounding[-1]) + 1) / CONTROL_RATE) if len(sounding) else note.offset
    )


def _steady_pitch(pitch: NDArray[np.float64], onset: float, offset: float) -> float:
    """Mean pitch (MIDI number) of the note's middle, without the fifth of the values farthest out on each side."""
    length = offset - onset
    part = frames_between(onset + min(0.25 * length, 0.15), offset - min(0.2 * length, 0.12), len(pitch))
    values = np.sort(pitch[part if part.stop > part.start else slice(part.start, part.start + 1)])
    cut = len(values) // 5
    return float(np.clip(np.mean(values[cut : len(values) - cut]), 0.0, 127.0))
