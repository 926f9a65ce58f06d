"""Words to sounds: a dictionary for English, and rules of spelling for other words and for Portuguese.

English is pronounced as in the CMU Pronouncing Dictionary, which comes with the package pocketsphinx
(``hummingface[lyrics]``), Portuguese as in Brazil.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path

from hf_model.config import ConfigError, check_choice
from hf_model.lyrics.phonemes import Sound, SungSyllable, from_arpabet, syllabify

INSTALL = "pip install 'hummingface[lyrics]'"

LANGUAGES = ("en", "pt")

CONSONANT_LETTERS = {letter: letter for letter in "bdfghklmnprstvwz"}

ENGLISH = {
    **{"tion": "sh V n", "sion": "zh V n", "ough": "o+U", "augh": "O", "igh": "a+I", "tch": "ch", "dge": "dj"},
    **{"sch": "sh", "ch": "ch", "sh": "sh", "th": "th", "ph": "f", "wh": "w", "ck": "k", "ng": "ng", "qu": "k w"},
    **{"gh": "g", "kn": "n", "wr": "r", "ee": "i", "ea": "i", "oo": "u", "ai": "e+I", "ay": "e+I", "ei": "e+I"},
    **{"ey": "i", "ie": "i", "oa": "o+U", "ow": "o+U", "ou": "a+U", "oi": "O+I", "oy": "O+I", "au": "O", "aw": "O"},
    **{"ew": "u", "ue": "u", "er": "er", "ir": "er", "ur": "er", "ar": "A r", "or": "O r"},
    # A vowel before one consonant and a silent "e" at the end of the word is long.
    **{"a(?=[^aeiouy]e$)": "e+I", "e(?=[^aeiouy]e$)": "i", "i(?=[^aeiouy]e$)": "a+I", "o(?=[^aeiouy]e$)": "o+U"},
    **{"u(?=[^aeiouy]e$)": "u", "(?<=[aeiou][^aeiouy])e$": "", r"([^aeiouy])(?=\1)": "", "c(?=[eiy])": "s"},
    **{"a": "ae", "e": "E", "i": "I", "o": "A", "u": "V", "y": "i", "c": "k", "j": "dj", "x": "k s", "q": "k"},
    **CONSONANT_LETTERS,
}
"""Patterns of letters and their sounds, for words that the dictionary lacks: the first that matches is taken."""

PORTUGUESE = {
    **{"lh": "l j", "nh": "n j", "ch": "sh", "rr": "h", "ss": "s", "sc(?=[ei])": "s", "qu(?=[eiéêí])": "k"},
    **{"gu(?=[eiéêí])": "g", "qu": "k w", "gu(?=[aoáâ])": "g w", "ão": "a+U n", "ãe": "a+I n", "õe": "o+I n"},
    **{"em$": "e+I n", "am$": "a+U n", "ou": "o+U", "[eê]i": "e+I", "éi": "E+I", "ai": "a+I", "ói": "O+I"},
    **{"oi": "o+I", "ui": "u+I", "au": "a+U", "éu": "E+U", "eu": "e+U", "iu": "i+U", "uis$": "u+I s"},
    **{"m(?=[pb]|$)": "n", "^r": "h", "(?<=[lns])r": "h", "(?<=[aeiouáéíóúâêôãõ])s(?=[aeiouáéíóúâêôãõ])": "z"},
    **{"ç": "s", "c(?=[eiéêí])": "s", "c": "k", "g(?=[eiéêí])": "zh", "j": "zh", "x": "sh", "q": "k"},
    **{"t(?=i|e$|es$)": "ch", "d(?=i|e$|es$)": "dj", "o(?=s?$)": "u", "e(?=s?$)": "i", "[aáàâ]": "a", "ã": "a n"},
    **{"é": "E", "[eê]": "e", "[ií]": "i", "ó": "O", "[oô]": "o", "õ": "o n", "[uúü]": "u", "y": "i", "k": "k"},
    **CONSONANT_LETTERS,
    "h": "",
}
"""The same for Portuguese. A nasal vowel is sung as the vowel and "n"."""


def pronounce(word: str, language: str = "en") -> list[SungSyllable]:
    """Divide a word into syllables and their sounds.

    Parameters
    ----------
    word : str
        Letters, with or without accents; other characters are ignored.
    language : {"en", "pt"}

    Returns
    -------
    list of SungSyllable
        Empty for a word without letters of the language.

    Raises
    ------
    ConfigError
        For another language, or if the dictionary is not installed.
    """
    check_choice("language", language, LANGUAGES)
    lower = unicodedata.normalize("NFC", word).lower()
    letters = "".join(letter for letter in lower if letter.isalpha() or letter == "'")
    return syllabify(_english(letters) if language == "en" else spell(letters.replace("'", ""), PORTUGUESE))


def _english(word: str) -> list[Sound]:
    known = _dictionary()
    for candidate in (word, word.strip("'"), word.replace("'", "")):
        if candidate in known:
            return from_arpabet(known[candidate].split())
    plain = "".join(letter for letter in unicodedata.normalize("NFD", word) if "a" <= letter <= "z")
    return spell(plain, ENGLISH)


def spell(word: str, rules: dict[str, str]) -> list[Sound]:
    """Guess the sounds of a word from its letters; letters without a rule are silent.

    Parameters
    ----------
    word : str
        Lower case.
    rules : dict
        Regular expressions and the sounds of what they match, separated by spaces; "+" joins a diphthong.
    """
    sounds: list[Sound] = []
    at = 0
    while at < len(word):
        length, text = 1, ""
        for pattern, spoken in _compiled(tuple(rules.items())):
            found = pattern.match(word, at)
            if found and found.end() > at:
                length, text = found.end() - at, spoken
                break
        sounds += [tuple(sound.split("+")) for sound in text.split()]
        at += length
    return sounds


@functools.cache
def _compiled(rules: tuple[tuple[str, str], ...]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), sounds) for pattern, sounds in rules]


@functools.cache
def _dictionary() -> dict[str, str]:
    """Read the CMU dictionary: words to phonemes, the first pronunciation of each."""
    try:
        import pocketsphinx
    except ImportError as error:
        msg = f"the pronunciation of English needs the package pocketsphinx: {INSTALL}"
        raise ConfigError(msg) from error
    path = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    entries: dict[str, str] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            word, _, phonemes = line.strip().partition(" ")
            if "(" not in word:
                entries[word] = phonemes
    return entries
