"""When each sound of the lyrics is sung: vowels begin on the beat, consonants before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_model.lyrics.phonemes import SungSyllable
from hf_model.notes.note import Note
from hf_model.singer.phonetics import CONSONANTS, Consonant

DH = Consonant(True, 0.03, 0.08, (300.0, 1400.0, 2600.0), voice=0.5, noise_hz=5000.0, noise_width=5000.0, noise=0.03)
"""The voiced dental fricative of "the"."""

SOUNDS = {**CONSONANTS, "dh": DH}

SHARE_OF_NOTE = 0.4
"""Largest share of a note that the consonants at its end and those of the next syllable take."""


@dataclass(frozen=True)
class TimedConsonant:
    """A consonant from ``start`` to ``end``, seconds."""

    name: str
    start: float
    end: float

    @property
    def sound(self) -> Consonant:
        """Its description."""
        return SOUNDS[self.name]


@dataclass(frozen=True)
class TimedSyllable:
    """A syllable on a note, or the part of a syllable that is held on it.

    Attributes
    ----------
    note : Note
    start, end : float
        Seconds: the vowel.
    vowel, vowel_end : str
    before, after : tuple of TimedConsonant
    is_held : bool
        The vowel of the note before goes on.
    """

    note: Note
    start: float
    end: float
    vowel: str
    vowel_end: str = ""
    before: tuple[TimedConsonant, ...] = ()
    after: tuple[TimedConsonant, ...] = ()
    is_held: bool = False


def time_syllables(notes: Sequence[Note], syllables: Sequence[SungSyllable | None]) -> list[TimedSyllable]:
    """Give every sound its time.

    The consonants before a vowel end at the onset of the note, and those after it end with the note or before the next
    consonants. Between two vowels, consonants are shortened so that they take at most the rest between the notes and
    ``SHARE_OF_NOTE`` of the first note.

    Parameters
    ----------
    notes : sequence of Note
        Sorted, without overlaps.
    syllables : sequence of SungSyllable or None
        One a note; None holds the one before. The first is not None.
    """
    timed: list[TimedSyllable] = []
    current = SungSyllable()
    before: tuple[TimedConsonant, ...] = ()
    for index, (note, syllable) in enumerate(zip(notes, syllables, strict=True)):
        current = syllable or current
        if not index:
            before = _spread(current.onset, note.onset, min(_length(current.onset), note.onset))
        following = notes[index + 1] if index + 1 < len(notes) else None
        next_syllable = syllables[index + 1] if following else SungSyllable()
        coda = () if next_syllable is None else current.coda
        after, next_before = _between(note, coda, following, () if next_syllable is None else next_syllable.onset)
        end = min([note.offset, *(consonant.start for consonant in (*after, *next_before)[:1])])
        timed.append(
            TimedSyllable(
                note,
                note.onset,
                end,
                current.vowel,
                "" if next_syllable is None else current.vowel_end,
                before,
                after,
                is_held=syllable is None,
            )
        )
        before = next_before
    return timed


def _between(
    note: Note, coda: Sequence[str], following: Note | None, onset: Sequence[str]
) -> tuple[tuple[TimedConsonant, ...], tuple[TimedConsonant, ...]]:
    """Place the consonants after a vowel, and those before the next one."""
    end = note.offset if following is None else following.onset
    space = SHARE_OF_NOTE * note.duration + max(0.0, end - note.offset)
    usual = _length(coda) + _length(onset)
    scale = min(1.0, space / usual) if usual else 0.0
    next_before = _spread(onset, end, scale * _length(onset))
    until = min([note.offset, *(consonant.start for consonant in next_before[:1])])
    return _spread(coda, until, min(scale * _length(coda), SHARE_OF_NOTE * note.duration)), next_before


def _length(consonants: Sequence[str]) -> float:
    """Seconds that consonants usually take; each of a cluster is shorter than a single one."""
    share = 1.0 if len(consonants) <= 1 else 0.75
    return share * sum(0.6 * SOUNDS[name].low + 0.4 * SOUNDS[name].high for name in consonants)


def _spread(consonants: Sequence[str], end: float, length: float) -> tuple[TimedConsonant, ...]:
    """Place consonants one after another so that the last ends at ``end``, ``length`` seconds together."""
    usual = _length(consonants)
    if not usual or length <= 0.004:
        return ()
    timed = []
    at = end - length
    for name in consonants:
        until = at + length * _length((name,)) / sum(_length((other,)) for other in consonants)
        timed.append(TimedConsonant(name, at, until))
        at = until
    return tuple(timed)
