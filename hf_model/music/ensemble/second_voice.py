"""A second voice below the melody: thirds, sixths and tones of the chord, without parallel fifths, in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hf_model.music.chords import best_path
from hf_model.music.ensemble.bars import Song
from hf_model.music.key import MAJOR_SCALE, MINOR_SCALE, Key
from hf_model.notes.note import Note

INTERVALS = {3: 0.0, 4: 0.0, 5: 0.8, 7: 0.8, 8: 0.15, 9: 0.15}
"""Semitones below the melody, and what each costs."""

LOWEST = 48
"""MIDI number; the voice is silent below lower melodies."""

OUTSIDE_CHORD, OUTSIDE_KEY = 1.0, 4.0
"""Costs of a tone outside the chord (twice on a beat), and outside of chord and key."""

PARALLEL, MOVEMENT = 4.0, 0.12
"""Costs of parallel fourths and fifths, and of each semitone of movement."""

SHARE = 0.62
"""Velocity relative to the melody."""

MIN_NOTE = 0.1
"""Seconds; shorter notes of the melody have no second voice."""

SCALES = {"major": MAJOR_SCALE, "minor": MINOR_SCALE}


def play_second_voice(song: Song, key: Key) -> list[Note]:
    """Write the second voice: one note below each note of the melody, the least costly sequence of intervals (Viterbi).

    Returns
    -------
    list of Note
        With the times of the melody's notes, sorted by onset.
    """
    melody = [note for note in song.melody if note.duration >= MIN_NOTE and note.pitch - min(INTERVALS) >= LOWEST]
    if not melody:
        return []
    intervals = list(INTERVALS)
    costs = np.array([[_cost(song, note, interval, key) for interval in intervals] for note in melody])
    path = best_path(-costs, (-_moves(float(after.pitch - before.pitch)) for before, after in pairwise(melody)))
    return [
        Note(note.onset, note.offset, note.pitch - intervals[choice], song.velocity(SHARE))
        for note, choice in zip(melody, path, strict=True)
    ]


def _cost(song: Song, note: Note, interval: int, key: Key) -> float:
    """Give the cost of an interval below a note; infinite below the range."""
    pitch = int(note.pitch) - interval
    if pitch < LOWEST:
        return 1e6
    middle = note.onset + min(0.5 * note.duration, 0.2)
    beat = next((beat for beat in song.beats if beat.start <= middle < beat.stop), song.beats[-1])
    in_chord = pitch % 12 in beat.chord.pitch_classes
    in_key = (pitch - key.tonic) % 12 in SCALES[key.mode]
    is_on_beat = (
        abs(note.onset - beat.start) < 0.12 * (beat.stop - beat.start) or note.duration > beat.stop - beat.start
    )
    cost = INTERVALS[interval]
    if not in_chord:
        cost += OUTSIDE_CHORD * (2 if is_on_beat else 1) if in_key else OUTSIDE_KEY
    return cost


def _moves(step: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Give the costs (from, to) of the movement from one interval to the next, while the melody moves by ``step``."""
    intervals: Sequence[int] = list(INTERVALS)
    movement = step - (np.array(intervals)[None, :] - np.array(intervals)[:, None])
    is_parallel = np.diag([interval in {5, 7} for interval in intervals]) & (step != 0)
    return np.asarray(MOVEMENT * np.abs(movement) + PARALLEL * is_parallel)
