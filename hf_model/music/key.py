"""Key estimation, and moving notes into a key."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError
from hf_model.music.fitted import load_fitted, logistic
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.pitch import estimate_tuning

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

MODES = ("major", "minor")

_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}

NEIGHBOURS, MIN_NEIGHBOURS = 6, 4
"""Notes on either side that a local tuning is estimated from, and how few of both sides suffice."""

MIN_NOTES = 20
"""With fewer notes the confidence is lowered: the weights were fitted to excerpts of half a minute."""


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes
    ----------
    tonic : int
        Pitch class: 0 is C, 11 is B.
    mode : {"major", "minor"}
    confidence : float
        0-1: probability of this key among the 24; 1 for a key that the user has set.
    """

    tonic: int
    mode: str
    confidence: float = 1.0

    @property
    def name(self) -> str:
        """Tonic and mode: "Eb major"."""
        return f"{(_MAJOR_NAMES if self.mode == 'major' else _MINOR_NAMES)[self.tonic]} {self.mode}"

    @property
    def fifths(self) -> int:
        """Sharps of the key signature; negative for flats: -6 to 6."""
        note = self.name.split()[0]
        return "FCGDAEB".index(note[0]) - 1 + 7 * _SIGNS[note[1:]] - 3 * (self.mode == "minor")

    @property
    def scale(self) -> frozenset[int]:
        """Pitch classes of the scale; of a minor key, with the raised sixth and seventh of the melodic minor scale."""
        steps = MAJOR_SCALE if self.mode == "major" else (*MINOR_SCALE, 9, 11)
        return frozenset((self.tonic + step) % 12 for step in steps)

    def transposed(self, semitones: int) -> Key:
        """Return the key transposed by a number of semitones."""
        return Key((self.tonic + semitones) % 12, self.mode, self.confidence)


def parse_key(text: str) -> Key:
    """Parse the name of a key: "A minor", "Bb", "f# min", "Em".

    Raises
    ------
    ConfigError
        For any other text.
    """
    match = re.fullmatch(r"\s*([A-Ga-g])([#♯b♭]?)[\s:]*(major|maj|minor|min|m|)\s*", text, re.IGNORECASE)
    if not match:
        raise ConfigError(f"key is {text!r}, expected for instance 'A minor', 'Eb major' or 'F#'")
    letter, sign, mode = match.groups()
    is_minor = mode.lower() in {"minor", "min"} or mode == "m"
    return Key((_LETTERS[letter.upper()] + _SIGNS[sign.lower()]) % 12, "minor" if is_minor else "major")


def estimate_key(notes: Sequence[Note], tuning: float | None = None) -> Key:
    """Estimate the key of a melody.

    Each of the 24 keys is scored by the share of the notes and of the time on each degree of its scale. The weights
    were fitted to pop songs. The confidence is a logistic regression on :func:`confidence_features`.

    Parameters
    ----------
    notes : sequence of Note
        Float pitches, or piano keys.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated by default.

    Returns
    -------
    Key
        C major with confidence 0 without notes.
    """
    if not notes:
        return Key(0, "major", 0.0)
    key, features = score_keys(notes, tuning)
    return replace(key, confidence=logistic(key_model().certainty, features))


def score_keys(notes: Sequence[Note], tuning: float | None = None) -> tuple[Key, list[float]]:
    """Find the key with the best score, and what its confidence depends on; see :func:`estimate_key`."""
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    model = key_model()
    counts, times = shares(notes, tuning)
    degrees = (np.arange(12)[:, None] + np.arange(12)) % 12  # (tonic, degree) -> pitch class
    scores = model.count_weights @ counts[degrees].T + model.time_weights @ times[degrees].T  # (mode, tonic)
    scores[1] += model.minor_bias
    scores *= model.scale * min(1.0, len(notes) / MIN_NOTES)
    mode, tonic = np.unravel_index(int(np.argmax(scores)), scores.shape)
    share = float(1.0 / np.exp(scores - scores.max()).sum())
    return Key(int(tonic), MODES[mode]), confidence_features(share, counts, int(tonic), MODES[mode])


def confidence_features(share: float, counts: NDArray[np.float64], tonic: int, mode: str) -> list[float]:
    """Give what a confidence depends on.

    Parameters
    ----------
    share : float
        0-1: share of this key in the softmax of all keys' scores.
    counts : ndarray, shape (12,)
        Share of the notes on each pitch class.
    tonic : int
    mode : {"major", "minor"}

    Returns
    -------
    list of float
        Log-odds of the share, share of the notes in the natural scale, and 1 for a minor key.
    """
    scale = MAJOR_SCALE if mode == "major" else MINOR_SCALE
    inside = sum(counts[(tonic + step) % 12] for step in scale)
    return [math.log((share + 1e-6) / (1.0 - share + 1e-6)), float(inside), float(mode == "minor")]


@dataclass(frozen=True, eq=False)
class KeyModel:
    """Weights of the key estimation.

    Attributes
    ----------
    count_weights, time_weights : ndarray, shape (mode, degree)
        Weights of the share of notes and of time on each degree (semitones above the tonic).
    minor_bias : float
        Added to the score of minor keys.
    scale : float
        Factor of all scores.
    certainty : tuple of float
        Constant and weights of :func:`confidence_features`.
    """

    count_weights: NDArray[np.float64]
    time_weights: NDArray[np.float64]
    minor_bias: float
    scale: float
    certainty: tuple[float, ...]


@cache
def key_model() -> KeyModel:
    """Read the weights that ship, once per process."""
    fitted = load_fitted("key")
    counts, times = (np.array([fitted[name][mode] for mode in MODES]) for name in ("count_weights", "time_weights"))
    return KeyModel(counts, times, fitted["minor_bias"], fitted["scale"], tuple(fitted["certainty"]))


def shares(notes: Sequence[Note], tuning: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the share of the notes and of the time on each pitch class: two arrays (12,)."""
    classes = np.floor(np.array([note.pitch for note in notes]) - tuning + 0.5).astype(int) % 12
    times = _times(notes)
    counted = np.bincount(classes, minlength=12) / len(notes)
    return counted, np.bincount(classes, times, minlength=12) / times.sum()


def _times(notes: Sequence[Note]) -> NDArray[np.float64]:
    """Seconds that each note counts for: until the next onset, at most twice its duration."""
    order = sorted(note.onset for note in notes)
    following = [order[min(bisect_right(order, note.onset), len(order) - 1)] - note.onset for note in notes]
    return np.clip(
        [min(gap, 2 * note.duration) if gap > 0 else note.duration for gap, note in zip(following, notes, strict=True)],
        0.05,
        2.0,
    )


def snap_to_key(notes: Sequence[Note], keys: Sequence[Note], key: Key, tuning: float) -> list[Note]:
    """Move piano keys outside the scale to a scale tone if the sung pitch is within half a semitone of it.

    In the tuning of the whole recording, no scale tone is that close. But singers drift: so the sung pitch is also
    compared in the tuning of the notes around it. A note that is sung clearly outside the scale stays.

    Parameters
    ----------
    notes : sequence of Note
        Transcribed notes.
    keys : sequence of Note
        The piano key of each.
    key : Key
        Of the singing, before transposing.
    tuning : float
        Of the recording, in semitones.

    Returns
    -------
    list of Note
        The piano keys, some of them moved by a semitone.
    """
    tuned = np.array([note.pitch - tuning for note in notes])
    weights = np.array([note.duration for note in notes])
    snapped = []
    for index, (played, sung) in enumerate(zip(keys, tuned, strict=True)):
        moved = 0
        if (math.floor(sung + 0.5)) % 12 not in key.scale:
            first, last = max(0, index - NEIGHBOURS), min(len(tuned), index + NEIGHBOURS + 1)
            around = [k for k in range(first, last) if k != index]
            local = estimate_tuning(tuned[around], weights[around]) if len(around) >= MIN_NEIGHBOURS else 0.0
            in_local_tuning = math.floor(sung - local + 0.5)
            moved = in_local_tuning - math.floor(sung + 0.5) if in_local_tuning % 12 in key.scale else 0
        snapped.append(replace(played, pitch=fold_to_keyboard(int(played.pitch) + moved)))
    return snapped
