"""Lyrics to the syllables of notes.

Words are separated by spaces. A hyphen divides a word into syllables where the writer wants them ("twin-kle"), as in
MusicXML and in lead sheets; other words are divided by their pronunciation. "_" holds the syllable before it for one
more note (melisma). Lines and punctuation have no effect on the notes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_model.lyrics.phonemes import SungSyllable
from hf_model.lyrics.pronunciation import pronounce
from hf_model.lyrics.spelling import divide_spelling, join_syllables

HOLD = "_"

MAX_CHARACTERS = 100_000


class LyricsError(ValueError):
    """Why lyrics cannot be sung."""


@dataclass(frozen=True)
class SetLyrics:
    """Lyrics that are set to notes.

    Attributes
    ----------
    syllables : list of SungSyllable or None
        One a note; None holds the syllable before.
    warnings : tuple of str
        Words that are left over, or notes.
    """

    syllables: list[SungSyllable | None]
    warnings: tuple[str, ...] = ()


def divide(text: str, language: str = "en") -> list[SungSyllable | None]:
    """Divide lyrics into syllables; None stands for a hold.

    Raises
    ------
    LyricsError
        If there is nothing to sing, or too much.
    ConfigError
        For an unknown language, or one whose package is not installed.
    """
    if len(text) > MAX_CHARACTERS:
        msg = f"the lyrics have {len(text)} characters; at most {MAX_CHARACTERS} are sung"
        raise LyricsError(msg)
    syllables: list[SungSyllable | None] = []
    for word in text.replace("\u2019", "'").split():
        holds = len(word) - len(word.rstrip(HOLD))
        syllables += _divide_word(word.strip(HOLD + "-"), language)
        syllables += [None] * holds
    first = next((index for index, syllable in enumerate(syllables) if syllable is not None), None)
    if first is None:
        msg = "the lyrics have no words"
        raise LyricsError(msg)
    return syllables[first:]


def _divide_word(word: str, language: str) -> list[SungSyllable]:
    """Divide a word by its hyphens if it has any, else by its pronunciation.

    The pronunciation of the whole word is used if it has as many syllables as the writer wants, so that "twin-kle" is
    not sung as two unknown words.
    """
    written = [part for part in re.split(r"-+", word) if any(letter.isalpha() for letter in part)]
    whole = pronounce("".join(written), language)
    if len(written) <= 1:
        return _with_text(whole, word)
    if len(whole) == len(written):
        return _as_word(whole, written)
    return _as_word([_joined(pronounce(part, language)) for part in written], written)


def _joined(syllables: Sequence[SungSyllable]) -> SungSyllable:
    """Make one syllable of several: the vowel of the first, all final consonants."""
    first, last = syllables[0], syllables[-1]
    return replace(first, coda=last.coda)


def _with_text(syllables: Sequence[SungSyllable], word: str) -> list[SungSyllable]:
    """Write a word on its syllables, or all of it on the first one if its spelling cannot be divided."""
    if not syllables:
        return []
    written = divide_spelling(word, len(syllables)) or [word, *[""] * (len(syllables) - 1)]
    return _as_word(syllables, written)


def _as_word(syllables: Sequence[SungSyllable], texts: Sequence[str]) -> list[SungSyllable]:
    """Write texts on the syllables of a word."""
    following = [*texts[1:], ""]
    return [
        replace(syllable, text=text, goes_on=bool(after))
        for syllable, text, after in zip(syllables, texts, following, strict=True)
    ]


def set_lyrics(text: str, n_notes: int, language: str = "en") -> SetLyrics:
    """Set lyrics to notes, a syllable each.

    Notes that are left over repeat the lyrics from the beginning; words that are left over are not sung.

    Parameters
    ----------
    text : str
    n_notes : int
        Number of notes, at least 1.
    language : {"en", "pt"}

    Raises
    ------
    LyricsError, ConfigError
        As :func:`divide`.
    """
    syllables = divide(text, language)
    silent = [word for word in text.split() if any(map(str.isalnum, word)) and not any(map(str.isalpha, word))]
    skipped = (f"without letters and not sung: {' '.join(silent)[:60]}",) if silent else ()
    if len(syllables) > n_notes:
        rest = join_syllables([(syllable.text, syllable.goes_on) for syllable in syllables[n_notes:] if syllable])
        n_left = len(syllables) - n_notes
        shown = rest if len(rest) <= 60 else f"{rest[:57]}..."
        counted = f"{len(syllables)} syllables for {n_notes} notes"
        return SetLyrics(syllables[:n_notes], (*skipped, f"{counted}: the last {n_left} are not sung ({shown})"))
    if len(syllables) == n_notes:
        return SetLyrics(syllables, skipped)
    repeated = [syllables[index % len(syllables)] for index in range(n_notes)]
    count = "1 syllable" if len(syllables) == 1 else f"{len(syllables)} syllables"
    return SetLyrics(repeated, (*skipped, f"{count} for {n_notes} notes: the lyrics are repeated"))
