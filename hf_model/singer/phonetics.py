"""The sounds that a melody is sung on: consonants, and the syllables of each singing style."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator


@dataclass(frozen=True)
class Consonant:
    """One consonant.

    Attributes
    ----------
    sonorant : bool
        Nasal, lateral or glide: the voice continues through it.
    low, high : float
        Minimum and maximum duration, seconds.
    formants : tuple of float
        Targets of the first three formants, Hz of an adult man.
    voice : float
        Strength of the voice relative to the vowel, linear.
    closure : float
        Fraction of the duration with a closed mouth, before the noise.
    noise_hz, noise_width : float
        Centre and bandwidth of the noise, Hz; 0 without noise.
    noise : float
        Strength of the noise relative to the vowel, linear.
    breath : float
        Strength of aspiration through the vocal tract relative to the vowel, linear.
    nasal_zero : float
        Antiformant, Hz; 0 without one.
    """

    sonorant: bool
    low: float
    high: float
    formants: tuple[float, float, float]
    voice: float = 0.0
    closure: float = 0.0
    noise_hz: float = 0.0
    noise_width: float = 0.0
    noise: float = 0.0
    breath: float = 0.0
    nasal_zero: float = 0.0


# --------------------------------------------------------------------------------------------------- tables of sounds

CONSONANTS = {
    "m": Consonant(True, 0.04, 0.16, (270, 1000, 2200), voice=0.45, nasal_zero=1000),
    "n": Consonant(True, 0.04, 0.15, (270, 1450, 2400), voice=0.45, nasal_zero=1600),
    "ng": Consonant(True, 0.05, 0.15, (270, 1900, 2500), voice=0.4, nasal_zero=2500),
    "l": Consonant(True, 0.03, 0.12, (350, 1150, 2700), voice=0.55, nasal_zero=1900),
    "r": Consonant(True, 0.03, 0.09, (400, 1150, 1600), voice=0.6),
    "w": Consonant(True, 0.04, 0.10, (300, 680, 2200), voice=0.6),
    "j": Consonant(True, 0.04, 0.10, (280, 2250, 3000), voice=0.6),
    "b": Consonant(
        False, 0.05, 0.11, (250, 800, 2200), voice=0.12, closure=0.9, noise_hz=900, noise_width=1500, noise=0.2
    ),
    "d": Consonant(
        False, 0.05, 0.11, (250, 1700, 2600), voice=0.12, closure=0.88, noise_hz=3800, noise_width=2500, noise=0.3
    ),
    "g": Consonant(
        False, 0.05, 0.11, (250, 1900, 2200), voice=0.1, closure=0.85, noise_hz=2000, noise_width=1000, noise=0.3
    ),
    "p": Consonant(
        False, 0.07, 0.16, (350, 800, 2200), closure=0.6, noise_hz=1000, noise_width=2000, noise=0.15, breath=0.25
    ),
    "t": Consonant(
        False, 0.07, 0.16, (350, 1700, 2600), closure=0.6, noise_hz=4200, noise_width=3000, noise=0.4, breath=0.2
    ),
    "k": Consonant(
        False, 0.07, 0.17, (350, 1900, 2200), closure=0.55, noise_hz=2000, noise_width=1200, noise=0.35, breath=0.2
    ),
    "T": Consonant(False, 0.05, 0.12, (300, 1700, 2600), closure=0.85, noise_hz=3800, noise_width=2500, noise=0.35),
    "f": Consonant(False, 0.07, 0.18, (350, 900, 2200), noise_hz=5500, noise_width=6000, noise=0.1, breath=0.03),
    "th": Consonant(False, 0.06, 0.14, (350, 1400, 2600), noise_hz=5500, noise_width=5000, noise=0.08),
    "s": Consonant(False, 0.08, 0.20, (320, 1650, 2600), noise_hz=6300, noise_width=2200, noise=0.4),
    "sh": Consonant(False, 0.08, 0.20, (320, 1800, 2500), noise_hz=3200, noise_width=1800, noise=0.4),
    "x": Consonant(False, 0.08, 0.20, (300, 2100, 2900), noise_hz=4600, noise_width=2400, noise=0.35),
    "h": Consonant(False, 0.04, 0.13, (500, 1450, 2450), breath=0.2),
    "v": Consonant(False, 0.05, 0.11, (300, 900, 2200), voice=0.3, noise_hz=5000, noise_width=5000, noise=0.05),
    "z": Consonant(False, 0.06, 0.14, (300, 1650, 2600), voice=0.25, noise_hz=6300, noise_width=2400, noise=0.22),
    "zh": Consonant(False, 0.06, 0.14, (300, 1800, 2500), voice=0.25, noise_hz=3200, noise_width=1800, noise=0.2),
    "ch": Consonant(False, 0.09, 0.19, (320, 1800, 2500), closure=0.4, noise_hz=3400, noise_width=2000, noise=0.45),
    "ts": Consonant(False, 0.09, 0.19, (320, 1650, 2600), closure=0.4, noise_hz=6200, noise_width=2400, noise=0.45),
    "dj": Consonant(
        False, 0.07, 0.14, (300, 1800, 2500), voice=0.1, closure=0.5, noise_hz=3300, noise_width=2000, noise=0.3
    ),
}

HUM = "m"
"""The vowel of a syllable that is sung with a closed mouth."""

STYLES = {"solfege": 0.26, "syllable": 0.18, "words": 0.4, "vowel": 0.05, "hum": 0.11}
"""Probability of each singing style."""

_SOLFEGE = (
    (("T", "d", "t"), "o"),
    (("r", "l", "zh"), "E"),
    (("m",), "i"),
    (("f",), "a"),
    (("s",), "o"),
    (("l",), "a"),
    (("x", "s", "t"), "i"),
)
"""Consonants to draw from, and vowel, of each degree of the scale: do to ti."""

_STEPS = np.array([0, 2, 4, 5, 7, 9, 11])
"""Semitones of these degrees above "do"."""

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
"""Consonants and vowels to draw from, for songs on one repeated syllable; the first vowel is the most frequent."""

_DIPHTHONGS = (("a", "i"), ("a", "u"), ("o", "u"), ("e", "i"), ("O", "i"), ("i", "E"), ("u", "o"), ("@", "u"))
"""Pairs of vowels."""

_VOWELS = ("a", "A", "ae", "E", "e", "i", "I", "o", "O", "u", "V", "@", "y", "oe", "er", "ui")
"""Vowels of invented languages."""


# ---------------------------------------------------------------------------------------------------------- syllables


@dataclass(frozen=True)
class Syllable:
    """The syllable of one note.

    Attributes
    ----------
    consonant, coda : str
        Before and after the vowel: a key of ``CONSONANTS``, or "".
    vowel, vowel_end : str
        A key of ``voice.VOWELS`` or ``HUM``; the second vowel of a diphthong, or "".
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
        Draws the singing style and, for words, the sounds of the language.
    keynote : float
        MIDI number of "do".
    style : str, optional
        A key of ``STYLES``; drawn when not given.
    """

    def __init__(self, rng: Generator, keynote: float, style: str | None = None) -> None:
        weights = np.array(list(STYLES.values()))
        self.style = style or str(rng.choice(list(STYLES), p=weights / weights.sum()))
        self._keynote = keynote
        self._solfege = tuple((str(rng.choice(consonants)), vowel) for consonants, vowel in _SOLFEGE)
        self._repeated = _REPEATED[str(rng.choice(list(_REPEATED)))]
        self._consonants = rng.choice(list(CONSONANTS), size=int(rng.integers(6, 15)), replace=False)
        self._vowels = rng.choice(_VOWELS, size=int(rng.integers(4, 9)), replace=False)
        self._no_consonant = rng.uniform(0.02, 0.6)
        self._diphthong = rng.uniform(0.0, 0.35)
        self._coda = rng.uniform(0.0, 0.4)
        self._h_chance = float(rng.choice([0.0, rng.uniform(0.0, 1.0)]))

    def draw(self, rng: Generator, pitch: float) -> Syllable:
        """Draw the syllable of a note with this pitch (MIDI number)."""
        if self.style == "solfege":
            degree = int(np.argmin(np.abs(_STEPS - (round(pitch) - round(self._keynote)) % 12)))
            return Syllable(*self._solfege[degree])
        if self.style == "syllable":
            consonants, vowels = self._repeated
            vowel = vowels[0] if rng.random() < 0.7 else str(rng.choice(vowels))
            return Syllable(str(rng.choice(consonants)), vowel)
        if self.style in ("vowel", "hum"):
            vowel = HUM if self.style == "hum" else str(self._vowels[0])
            return Syllable("h" if rng.random() < self._h_chance else "", vowel)
        return self.draw_word(rng)

    def draw_word(self, rng: Generator) -> Syllable:
        """Draw a syllable of the song's invented language."""
        consonant = "" if rng.random() < self._no_consonant else str(rng.choice(self._consonants))
        coda = str(rng.choice(["m", "n", "ng", "n", "t", "s", "k", "l", "r", "d"])) if rng.random() < self._coda else ""
        if rng.random() < self._diphthong:
            return Syllable(consonant, *_DIPHTHONGS[rng.integers(len(_DIPHTHONGS))], coda)
        return Syllable(consonant, str(rng.choice(self._vowels)), "", coda)
