"""The key of a melody, and moving notes into it."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.pitch import estimate_tuning

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

MODES = ("major", "minor")

_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}

# What a note on each degree (semitones above the keynote) says for a key, and what each share of the time does: a row
# for major, a row for minor. Multinomial logistic regression on 7925 pieces of 35 s from the songs of POP909 that are
# not held out: python bench/music.py --fit.
_COUNT_WEIGHTS = np.array(
    [
        [5.0, -0.9, 0.7, -2.8, 8.9, -3.0, -9.0, 7.0, -0.8, 4.0, -8.9, -0.2],
        [3.9, -7.3, 0.1, 8.6, -2.9, 2.3, -1.4, 6.6, -4.5, -9.0, 3.4, 0.1],
    ]
)
_TIME_WEIGHTS = np.array(
    [
        [12.8, -0.8, 3.1, -2.4, 6.9, -4.0, -8.1, 6.5, -0.5, -0.9, -7.9, -4.8],
        [9.8, -6.9, -1.6, 2.3, -1.5, 1.6, -1.5, 9.3, -3.0, -9.1, -1.7, 2.2],
    ]
)
_MINOR_BIAS = 0.66
_TEMPER = 0.8
"""Makes the belief as large as the share of sung training songs on which it is right."""

_AROUND, _FEWEST_AROUND = 6, 4
"""Notes on either side by which a singer's tuning at a note is judged."""


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes
    ----------
    tonic : int
        Pitch class of the keynote: 0 is C, 11 is B.
    mode : {"major", "minor"}
    confidence : float
        0-1: the share of belief that falls on this key of the 24; 1 when the user gave it.
    """

    tonic: int
    mode: str
    confidence: float = 1.0

    @property
    def name(self) -> str:
        """For people: "Eb major"."""
        return f"{(_MAJOR_NAMES if self.mode == 'major' else _MINOR_NAMES)[self.tonic]} {self.mode}"

    @property
    def fifths(self) -> int:
        """Sharps of the key signature as the name is spelt, flats below zero: -6 to 6."""
        note = self.name.split()[0]
        return "FCGDAEB".index(note[0]) - 1 + 7 * _SIGNS[note[1:]] - 3 * (self.mode == "minor")

    @property
    def scale(self) -> frozenset[int]:
        """Pitch classes of the scale; a minor key has its raised sixth and seventh too, as melodies do."""
        steps = MAJOR_SCALE if self.mode == "major" else (*MINOR_SCALE, 9, 11)
        return frozenset((self.tonic + step) % 12 for step in steps)

    def transposed(self, semitones: int) -> Key:
        """Give the key so many semitones higher."""
        return Key((self.tonic + semitones) % 12, self.mode, self.confidence)


def parse_key(text: str) -> Key:
    """Read a key as people write it: "A minor", "Bb", "f# min", "Em".

    Raises
    ------
    ConfigError
        If it is no key.
    """
    match = re.fullmatch(r"\s*([A-Ga-g])([#♯b♭]?)[\s:]*(major|maj|minor|min|m|)\s*", text, re.IGNORECASE)
    if not match:
        raise ConfigError(f"key is {text!r}, expected for instance 'A minor', 'Eb major' or 'F#'")
    letter, sign, mode = match.groups()
    is_minor = mode.lower() in {"minor", "min"} or mode == "m"
    return Key((_LETTERS[letter.upper()] + _SIGNS[sign.lower()]) % 12, "minor" if is_minor else "major")


def estimate_key(notes: Sequence[Note], tuning: float | None = None) -> Key:
    """Find the key of a melody.

    Each of the 24 keys is scored by how many notes and how much time fall on each degree of its scale; the weights were
    learned on pop songs, and the scores are made a distribution of belief.

    Parameters
    ----------
    notes : sequence of Note
        Pitches as sung, or keys.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated when not given.

    Returns
    -------
    Key
        C major with confidence 0 without notes.
    """
    if not notes:
        return Key(0, "major", 0.0)
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    counts, times = shares(notes, tuning)
    degrees = (np.arange(12)[:, None] + np.arange(12)) % 12  # (tonic, degree) -> pitch class
    scores = _COUNT_WEIGHTS @ counts[degrees].T + _TIME_WEIGHTS @ times[degrees].T  # (mode, tonic)
    scores[1] += _MINOR_BIAS
    # Half a dozen notes say less than the excerpts of half a minute that the weights were learned on.
    scores *= _TEMPER * min(1.0, len(notes) / 20)
    belief = np.exp(scores - scores.max())
    mode, tonic = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return Key(int(tonic), MODES[mode], float(1.0 / belief.sum()))


def shares(notes: Sequence[Note], tuning: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the share of the notes and of the time that falls on each pitch class, two of shape (12,)."""
    classes = np.floor(np.array([note.pitch for note in notes]) - tuning + 0.5).astype(int) % 12
    times = _times(notes)
    counted = np.bincount(classes, minlength=12) / len(notes)
    return counted, np.bincount(classes, times, minlength=12) / times.sum()


def _times(notes: Sequence[Note]) -> NDArray[np.float64]:
    """Seconds that each note counts for: until the next onset, at most twice its length."""
    order = sorted(note.onset for note in notes)
    following = [order[min(bisect_right(order, note.onset), len(order) - 1)] - note.onset for note in notes]
    return np.clip(
        [min(gap, 2 * note.duration) if gap > 0 else note.duration for gap, note in zip(following, notes, strict=True)],
        0.05,
        2.0,
    )


def snap_to_key(notes: Sequence[Note], keys: Sequence[Note], key: Key, tuning: float) -> list[Note]:
    """Move keys outside the scale to a scale tone, where the voice itself allows it.

    A scale tone is taken if it lies within half a semitone of what was sung. By the tuning of the whole recording the
    key played is the only such tone; but voices drift, so a note is also judged by the tuning of the notes around it. A
    note that is sung clearly outside the scale stays.

    Parameters
    ----------
    notes : sequence of Note
        As sung.
    keys : sequence of Note
        The key played for each.
    key : Key
        Of the singing, not transposed.
    tuning : float
        Of the recording, in semitones.

    Returns
    -------
    list of Note
        The keys, some of them a semitone away.
    """
    tuned = np.array([note.pitch - tuning for note in notes])
    weights = np.array([note.duration for note in notes])
    snapped = []
    for place, (played, sung) in enumerate(zip(keys, tuned, strict=True)):
        moved = 0
        if (math.floor(sung + 0.5)) % 12 not in key.scale:
            around = [k for k in range(max(0, place - _AROUND), min(len(tuned), place + _AROUND + 1)) if k != place]
            local = estimate_tuning(tuned[around], weights[around]) if len(around) >= _FEWEST_AROUND else 0.0
            there = math.floor(sung - local + 0.5)
            moved = there - math.floor(sung + 0.5) if there % 12 in key.scale else 0
        snapped.append(replace(played, pitch=fold_to_keyboard(int(played.pitch) + moved)))
    return snapped
