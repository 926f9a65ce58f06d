"""The sounds of words: phonemes of dictionaries to the vowels and consonants of the singer, and syllables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Sound = tuple[str, ...]

ARPABET: dict[str, Sound] = {
    "AA": ("A",),
    "AE": ("ae",),
    "AH": ("V",),
    "AO": ("O",),
    "AW": ("a", "U"),
    "AY": ("a", "I"),
    "EH": ("E",),
    "ER": ("er",),
    "EY": ("e", "I"),
    "IH": ("I",),
    "IY": ("i",),
    "OW": ("o", "U"),
    "OY": ("O", "I"),
    "UH": ("U",),
    "UW": ("u",),
    "B": ("b",),
    "CH": ("ch",),
    "D": ("d",),
    "DH": ("dh",),
    "F": ("f",),
    "G": ("g",),
    "HH": ("h",),
    "JH": ("dj",),
    "K": ("k",),
    "L": ("l",),
    "M": ("m",),
    "N": ("n",),
    "NG": ("ng",),
    "P": ("p",),
    "R": ("r",),
    "S": ("s",),
    "SH": ("sh",),
    "T": ("t",),
    "TH": ("th",),
    "V": ("v",),
    "W": ("w",),
    "Y": ("j",),
    "Z": ("z",),
    "ZH": ("zh",),
}
"""Phonemes of the CMU Pronouncing Dictionary; a vowel of two sounds is a diphthong."""

VOWELS = {"a", "A", "ae", "E", "e", "i", "I", "o", "O", "u", "U", "V", "@", "y", "oe", "er"}

ONSETS = {
    *("p l", "p r", "b l", "b r", "t r", "d r", "k l", "k r", "g l", "g r", "f l", "f r", "th r", "sh r", "v r"),
    *("s p", "s t", "s k", "s m", "s n", "s l", "s w", "s f", "t w", "d w", "k w", "g w", "th w", "h w"),
    *("p j", "b j", "k j", "f j", "m j", "h j", "v j", "g j", "n j", "l j", "d j", "t j"),
    *("s p l", "s p r", "s t r", "s k r", "s k w", "s p j", "s k j", "s k l"),
}
"""Consonants, separated by spaces, with which a syllable may begin; a single one always may, except "ng"."""


@dataclass(frozen=True)
class SungSyllable:
    """The sounds of one syllable.

    Attributes
    ----------
    onset, coda : tuple of str
        Consonants before and after the vowel.
    vowel, vowel_end : str
        The vowel, and the second one of a diphthong or "".
    text : str
        How it is written; "" if that is part of the text of the syllable before.
    goes_on : bool
        Whether the next syllable is one of the same word.
    """

    onset: tuple[str, ...] = ()
    vowel: str = "a"
    vowel_end: str = ""
    coda: tuple[str, ...] = ()
    text: str = ""
    goes_on: bool = False


def from_arpabet(phonemes: Sequence[str]) -> list[Sound]:
    """Look up phonemes such as ``["L", "IH1", "T"]``; stress is ignored."""
    return [ARPABET[phoneme.rstrip("012")] for phoneme in phonemes if phoneme.rstrip("012") in ARPABET]


def is_vowel(sound: Sound) -> bool:
    """Whether a sound is a vowel or a diphthong."""
    return sound[0] in VOWELS


def syllabify(sounds: Sequence[Sound]) -> list[SungSyllable]:
    """Divide the sounds of a word into syllables, each with as many consonants before its vowel as may begin a word.

    A word without a vowel becomes one syllable on a neutral vowel.
    """
    vowels = [index for index, sound in enumerate(sounds) if is_vowel(sound)]
    if not vowels:
        return [SungSyllable(tuple(sound[0] for sound in sounds), "@")] if sounds else []
    syllables: list[SungSyllable] = []
    onset = tuple(sound[0] for sound in sounds[: vowels[0]])
    for index, position in enumerate(vowels):
        vowel, vowel_end = (*sounds[position], "")[:2]
        is_last = index + 1 == len(vowels)
        between = [sound[0] for sound in sounds[position + 1 : None if is_last else vowels[index + 1]]]
        n_coda = len(between) if is_last else next(n for n in range(len(between) + 1) if _may_begin(between[n:]))
        syllables.append(SungSyllable(onset, vowel, vowel_end, tuple(between[:n_coda])))
        onset = tuple(between[n_coda:])
    return syllables


def _may_begin(consonants: Sequence[str]) -> bool:
    if len(consonants) <= 1:
        return list(consonants) != ["ng"]
    return " ".join(consonants) in ONSETS
