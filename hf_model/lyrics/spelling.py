"""The written syllables of a word, as many as are sung: "lit-tle", "won-der-ful", "es-tre-li-nha"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

VOWELS = "aeiouyàáâãäéêíóôõöúü"

TOGETHER = ("ch", "sh", "th", "ph", "wh", "gh", "lh", "nh", "qu", "gu")
"""Letters of one consonant, which begin a syllable together."""

STOPS, LIQUIDS = "bcdfgkptv", "lr"
"""A stop and a liquid begin a syllable together: "A-pril"."""

HIATUS = re.compile(r"(?<=[iu])[aeo]|(?<=e)[ao]|(?<=o)e|(?<=[aeouy])i(?=ng)")
"""Vowels that may be a syllable of their own: "glo-ri-a", "cre-ate", "po-em", "be-ing"."""

SILENT = (r"(?<![^aeiou]l)e$", r"e(?=[ds]$)", r"e(?=(ly|ment|ful|less|ness)$)", r"e(?=[^aeiouy]+[aeiouy]\w*$)")
"""An "e" that is not sung, where a word has more vowels than syllables; the most likely first."""


PUNCTUATION = "!?.,;:'\"()\u201d\u2019\u2026"


def divide_spelling(word: str, n_syllables: int) -> list[str] | None:
    """Divide the spelling of a word.

    Parameters
    ----------
    word : str
        With its punctuation.
    n_syllables : int

    Returns
    -------
    list of str or None
        Together they are the word; None if its vowels do not fit.
    """
    if n_syllables <= 1:
        return [word]
    letters = word.lower()
    if len(letters) != len(word):  # a letter with two small ones
        return None
    nuclei = _find_nuclei(letters, n_syllables)
    if len(nuclei) != n_syllables:
        return None
    cuts = [_find_cut(letters, end, start) for (_, end), (start, _) in pairwise(nuclei)]
    return [word[start:end] for start, end in pairwise([0, *cuts, len(word)])]


def _find_nuclei(letters: str, n_syllables: int) -> list[tuple[int, int]]:
    """Find the vowels of the syllables: start and end in the word."""
    consonant_u = re.sub(r"(?<=q)u|(?<=g)u(?=[eiéêí])", "w", letters)
    word = re.sub(r"(^|(?<=[aeiou]))y(?=[aeiou])", "j", consonant_u)
    spans = [found.span() for found in re.finditer(f"[{VOWELS}]+", word)]
    bare = word.rstrip(PUNCTUATION)
    silent = [found.span() for pattern in SILENT for found in re.finditer(pattern, bare) if found.span() in spans]
    sung = _parted(word, [span for span in spans if span not in silent[:1]], n_syllables)
    if silent and len(sung) == n_syllables:  # "cre-ate", not "crea-te"
        return sung
    for span in silent:
        if len(spans) > n_syllables and span in spans:
            spans.remove(span)
    return _parted(word, spans, n_syllables)


def _parted(word: str, spans: list[tuple[int, int]], n_syllables: int) -> list[tuple[int, int]]:
    """Divide vowels until there are enough, where they can be; the last ones first."""
    spans = list(spans)
    while len(spans) < n_syllables:
        parts = [
            (index, found.start())
            for index, (start, end) in enumerate(spans)
            for found in HIATUS.finditer(word, start, end + 2)
            if start < found.start() < end
        ]
        if not parts:
            break
        index, middle = parts[-1]
        start, end = spans[index]
        spans[index : index + 1] = [(start, middle), (middle, end)]
    return spans


def _find_cut(letters: str, start: int, end: int) -> int:
    """Find where the second of two syllables begins: between their vowels, at ``start`` and ``end``."""
    consonants = letters[start:end]
    if len(consonants) < 2:
        return start
    if consonants == "ng" and letters[end:].startswith("ing"):  # "sing-ing"
        return end
    if consonants.endswith("ck"):
        return end
    pair = consonants[-2:]
    begins_together = pair in TOGETHER or (pair[0] in STOPS and pair[1] in LIQUIDS)
    return end - 2 if begins_together else end - 1


def join_syllables(texts: Sequence[tuple[str, bool]]) -> str:
    """Write syllables, each with whether its word goes on, as words."""
    return "".join(text if goes_on else f"{text} " for text, goes_on in texts).strip()
