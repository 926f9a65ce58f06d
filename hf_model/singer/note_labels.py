"""Note labels of synthetic singing: onsets, offsets, pitches and velocities as an annotator would mark them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.singer.phrasing import PlannedNote
from hf_model.singer.vocal_tract import CONTROL_RATE, Controls, frames_between


def note_labels(
    planned: Sequence[PlannedNote],
    controls: Controls,
    audio: NDArray[np.float64],
    sample_rate: int,
    sonorant_first: float,
    sonorant_onset: float,
    sonorant_offset: float,
) -> list[Note]:
    """Label the notes, measured on the control curves and the audio.

    Parameters
    ----------
    controls : Controls
        The rendered control curves.
    audio : ndarray, shape (sample,)
        The rendered audio.
    sonorant_first, sonorant_onset, sonorant_offset : float
        Position in a nasal, lateral or glide, 0 at its start and 1 at the vowel: of the onset after a silence, of the
        onset of a bound note, and of the offset of the note before that.

    Returns
    -------
    list of Note
        Velocity 80 is the median level of the song's notes; one step is 1 dB.
    """
    pitch, loudness = controls.pitch, controls.voice
    onsets = [_onset(note, loudness, sonorant_onset if note.bound else sonorant_first) for note in planned]
    found: list[tuple[float, float, float, float]] = []
    for i, note in enumerate(planned):
        if not note.is_note:
            continue
        offset = _offset(note, loudness)
        if i + 1 < len(planned):
            following = planned[i + 1]
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
        Note(onset, offset, note_pitch, int(np.clip(round(80 + 20.0 * np.log10(power / middle)), 20, 120)))
        for onset, offset, note_pitch, power in found
    ]


def _onset(note: PlannedNote, loudness: NDArray[np.float64], in_sonorant: float) -> float:
    """Perceived onset (seconds): where the voice has risen to a third of its strength."""
    if note.bound or note.sonorant:
        return note.start + in_sonorant * (note.onset - note.start)
    part = frames_between(note.onset, note.offset, len(loudness))
    curve = loudness[part]
    risen = int(np.argmax(curve > 0.35 * np.quantile(curve, 0.8))) / CONTROL_RATE if len(curve) else 0.0
    return note.onset + min(risen, 0.08)


def _offset(note: PlannedNote, loudness: NDArray[np.float64]) -> float:
    """Offset (seconds): where the voice has fallen to a fifth of its strength in the note's second half."""
    part = frames_between(note.onset, note.offset, len(loudness))
    curve = loudness[part]
    if not len(curve):
        return note.offset
    sounding = np.flatnonzero(curve > 0.2 * np.quantile(curve[len(curve) // 2 :], 0.8))
    return (
        max(note.offset - 0.12, (part.start + int(sounding[-1]) + 1) / CONTROL_RATE) if len(sounding) else note.offset
    )


def _steady_pitch(pitch: NDArray[np.float64], onset: float, offset: float) -> float:
    """Trimmed mean pitch (MIDI number) of the note's middle, without a fifth of the values at each end."""
    length = offset - onset
    part = frames_between(onset + min(0.25 * length, 0.15), offset - min(0.2 * length, 0.12), len(pitch))
    values = np.sort(pitch[part if part.stop > part.start else slice(part.start, part.start + 1)])
    cut = len(values) // 5
    return float(np.clip(np.mean(values[cut : len(values) - cut]), 0.0, 127.0))
