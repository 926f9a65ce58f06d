"""What is sung: solfège, "la la", words of an invented language, a vowel, a hum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from hf_model.consonants import CONSONANTS

HUM = "m"
"""Stands where a vowel stands when the mouth is closed."""

STYLES = {"solfege": 0.26, "syllable": 0.18, "words": 0.4, "vowel": 0.05, "hum": 0.11}
"""How often each way of singing is chosen."""

_SOLFEGE = (
    (("T", "d", "t"), "o"),
    (("r", "l", "zh"), "E"),
    (("m",), "i"),
    (("f",), "a"),
    (("s",), "o"),
    (("l",), "a"),
    (("x", "s", "t"), "i"),
)
_STEPS = np.array([0, 2, 4, 5, 7, 9, 11])

_REPEATED = {
    "la": (("l",), ("a", "A")),
    "da": (("d", "T"), ("a", "A", "u")),
    "na": (("n",), ("a", "A")),
    "ma": (("m",), ("a", "A", "i", "o")),
    "ta": (("t", "T"), ("a", "A")),
    "ba": (("b",), ("a", "A", "o")),
    "du": (("d", "T"), ("u", "U")),
    "lu": (("l",), ("u", "U", "o")),
    "ya": (("j",), ("a", "E", "o")),
    "wa": (("w",), ("a", "o")),
    "ha": (("h",), ("a", "A", "o", "u", "i")),
    "no": (("n",), ("o", "u", "i")),
    "badum": (("b", "d"), ("a", "u", "@")),
    "shoop": (("sh", "d", "b"), ("u", "a")),
}

_DIPHTHONGS = (("a", "i"), ("a", "u"), ("o", "u"), ("e", "i"), ("O", "i"), ("i", "E"), ("u", "o"), ("@", "u"))
_VOWELS = ("a", "A", "ae", "E", "e", "i", "I", "o", "O", "u", "V", "@", "y", "oe", "er", "ui")


@dataclass(frozen=True)
class Syllable:
    """What one note is sung on.

    Attributes
    ----------
    consonant, coda : str
        Before and after the vowel: a key of ``consonants.CONSONANTS``, or "".
    vowel, vowel_end : str
        A key of ``voices.VOWELS`` or ``HUM``; where a diphthong ends, or "".
    """

    consonant: str = ""
    vowel: str = "a"
    vowel_end: str = ""
    coda: str = ""


class Diction:
    """The syllables of one song.

    Parameters
    ----------
    rng : Generator
        Decides the way of singing and, for words, the sounds of the language.
    keynote : float
        MIDI number of "do".
    style : str, optional
        A key of ``STYLES``; drawn when not given.
    """

    def __init__(self, rng: Generator, keynote: float, style: str | None = None) -> None:
        chances = np.array(list(STYLES.values()))
        self.style = style or str(rng.choice(list(STYLES), p=chances / chances.sum()))
        self._keynote = keynote
        self._solfege = tuple((str(rng.choice(consonants)), vowel) for consonants, vowel in _SOLFEGE)
        self._repeated = _REPEATED[str(rng.choice(list(_REPEATED)))]
        self._consonants = rng.choice(list(CONSONANTS), size=int(rng.integers(6, 15)), replace=False)
        self._vowels = rng.choice(_VOWELS, size=int(rng.integers(4, 9)), replace=False)
        self._bare = rng.uniform(0.02, 0.6)
        self._diphthong = rng.uniform(0.0, 0.35)
        self._coda = rng.uniform(0.0, 0.4)
        self._h = float(rng.choice([0.0, rng.uniform(0.0, 1.0)]))

    def draw(self, rng: Generator, pitch: float) -> Syllable:
        """Choose the syllable of one note of this pitch (MIDI number)."""
        if self.style == "solfege":
            degree = int(np.argmin(np.abs(_STEPS - (round(pitch) - round(self._keynote)) % 12)))
            return Syllable(*self._solfege[degree])
        if self.style == "syllable":
            consonants, vowels = self._repeated
            vowel = vowels[0] if rng.random() < 0.7 else str(rng.choice(vowels))
            return Syllable(str(rng.choice(consonants)), vowel)
        if self.style in ("vowel", "hum"):
            vowel = HUM if self.style == "hum" else str(self._vowels[0])
            return Syllable("h" if rng.random() < self._h else "", vowel)
        return self.draw_word(rng)

    def draw_word(self, rng: Generator) -> Syllable:
        """Choose a syllable of the song's invented language."""
        consonant = "" if rng.random() < self._bare else str(rng.choice(self._consonants))
        coda = str(rng.choice(["m", "n", "ng", "n", "t", "s", "k", "l", "r", "d"])) if rng.random() < self._coda else ""
        if rng.random() < self._diphthong:
            return Syllable(consonant, *_DIPHTHONGS[rng.integers(len(_DIPHTHONGS))], coda)
        return Syllable(consonant, str(rng.choice(self._vowels)), "", coda)
