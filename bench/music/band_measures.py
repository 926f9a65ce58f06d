"""What is measured of a band: tones outside the key, clashes with the melody, the movement of the second voice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hf_model.music.ensemble.second_voice import SCALES
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

CLASHES = (1, 6)
"""Semitones between pitch classes, the shorter way round, that count as a clash: minor seconds and tritones."""

PERFECT = (0, 5, 7)
"""Intervals, octaves apart or not, that should not be parallel: unisons and octaves, fourths, fifths."""

NEAR = 0.06
"""Seconds within which two onsets are the same."""


def outside_key(notes: Sequence[Note], key: Key) -> float:
    """Share of notes outside the scale; in minor the raised sixth and seventh belong to it."""
    scale = {*SCALES[key.mode], *((9, 11) if key.mode == "minor" else ())}
    return float(np.mean([(int(note.pitch) - key.tonic) % 12 not in scale for note in notes])) if notes else np.nan


def bass_clashes(bass: Sequence[Note], melody: Sequence[Note], tempo: Tempo) -> float:
    """Share of the strong beats with melody and bass on which they are a minor second or a tritone apart."""
    n_beats, clashes = tempo.beats_per_bar, []
    for number, beat in enumerate(tempo.beats):
        place = (number - tempo.downbeat) % n_beats
        if place == 0 or (n_beats == 4 and place == 2):
            low, high = (_sounding(notes, beat + 0.05) for notes in (bass, melody))
            if low and high:
                distance = (min(low) - min(high)) % 12
                clashes.append(min(distance, 12 - distance) in CLASHES)
    return float(np.mean(clashes)) if clashes else np.nan


def second_voice(voice: Sequence[Note], melody: Sequence[Note]) -> dict[str, float]:
    """Measure pairs of notes that begin together: shares of thirds and sixths, unisons, parallel perfect intervals."""
    upper = {round(note.onset, 3): int(note.pitch) for note in melody}
    pairs = [(upper[round(note.onset, 3)], int(note.pitch)) for note in voice if round(note.onset, 3) in upper]
    if len(pairs) < 2:
        return {}
    intervals = np.array([high - low for high, low in pairs])
    moves = [
        (a[0] != b[0] and a[0] - a[1] == b[0] - b[1] and (b[0] - b[1]) % 12 in PERFECT) for a, b in pairwise(pairs)
    ]
    return {
        "thirds and sixths": float(np.mean(np.isin(intervals % 12, (3, 4, 8, 9)))),
        "unisons and octaves": float(np.mean(intervals % 12 == 0)),
        "parallel perfect intervals": float(np.mean(moves)),
        "mean step, semitones": float(np.mean([abs(a[1] - b[1]) for a, b in pairwise(pairs)])),
    }


def onset_agreement(notes: Sequence[Note], reference: Sequence[Note]) -> float:
    """F1 of onsets, chords counted once."""
    mine, theirs = (np.unique([round(note.onset, 3) for note in part]) for part in (notes, reference))
    if not len(mine) or not len(theirs):
        return 0.0
    near = np.abs(mine[:, None] - theirs[None, :]) < NEAR
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def parallel_thirds(melody: Sequence[Note], key: Key) -> list[Note]:
    """Give the baseline of a second voice: the third below each note in the scale."""
    scale = SCALES[key.mode]
    found = []
    for note in melody:
        degree = (int(note.pitch) - key.tonic) % 12
        interval = 3 if (degree - 3) % 12 in scale else 4
        found.append(Note(note.onset, note.offset, note.pitch - interval))
    return found


def _sounding(notes: Sequence[Note], time: float) -> list[int]:
    return [int(note.pitch) for note in notes if note.onset <= time < note.offset]
