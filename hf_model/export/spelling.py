"""Names of piano keys: which of two enharmonic notes is written, F# or Gb.

Notes are places on the line of fifths: ... Bb -2, F -1, C 0, G 1, D 2 ...; a sharp is seven places higher.
"""

from __future__ import annotations

from collections.abc import Sequence

from hf_model.music.key import Key

LETTERS = "FCGDAEB"
NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

LOWEST = {"major": -4, "minor": -5}
"""Fifths above the tonic of the lowest of the twelve usual names: major from the lowered sixth to the raised fourth and
first, minor from the lowered second to the raised fourth, with the raised third, sixth and seventh."""

CHROMATIC = {"major": {1: 7, 3: 9, 8: 8, 10: 10}, "minor": {1: 7}}
"""Semitones above the tonic of the notes whose name depends on the notes beside them: fifths above the tonic of the
raised name; the lowered one is twelve fifths lower. The raised fourth is always raised, and the leading tone."""


def spell_class(pitch_class: int, key: Key) -> int:
    """Give the place of a pitch class on the line of fifths as it is usual in a key."""
    lowest = _tonic(key) + LOWEST[key.mode]
    return lowest + (pitch_class * 7 - lowest) % 12


def spell_line(keys: Sequence[int | None], key: Key) -> list[int | None]:
    """Spell the notes of one voice, one after the other.

    A chromatic note is a minor second from the note that it leads to, and has another letter: C C# D, but D Db C. If it
    does not go on by a semitone, the note before it counts in the same way. Repetitions are one note.

    Parameters
    ----------
    keys : sequence of int or None
        Piano keys (MIDI numbers); None for a rest or a chord.
    key : Key

    Returns
    -------
    list of int or None
        Places on the line of fifths; None where there is no key.
    """
    after = _steps(keys[::-1])[::-1]
    before = _steps(keys)
    names: list[int | None] = []
    for number, following, preceding in zip(keys, after, before, strict=True):
        if number is None:
            names.append(None)
            continue
        step = following if abs(following) == 1 else preceding
        raised = CHROMATIC[key.mode].get((number - 7 * _tonic(key)) % 12)
        if raised is None or abs(step) != 1:
            names.append(spell_class(number % 12, key))
        else:
            names.append(_tonic(key) + (raised if step == 1 else raised - 12))
    return names


def letter_and_alter(place: int) -> tuple[str, int]:
    """Give the letter of a place on the line of fifths, and its semitones above the natural: ("B", -1) for -2."""
    return LETTERS[(place + 1) % 7], (place + 1) // 7


def usual_names(key: Key) -> list[str]:
    """Give the names of the twelve pitch classes from C, as they are usual in a key: "C", "C♯", ..."""
    found = []
    for pitch_class in range(12):
        letter, alter = letter_and_alter(spell_class(pitch_class, key))
        found.append(letter + ("♯" * alter if alter > 0 else "♭" * -alter))
    return found


def octave_of(number: int, place: int) -> int:
    """Give the octave in which a piano key of this name is written: 4 for 60 as C, 3 for 60 as B♯."""
    letter, alter = letter_and_alter(place)
    return (number - alter - NATURAL[letter]) // 12 - 1


def _steps(keys: Sequence[int | None]) -> list[int]:
    """Give the semitones from each note to the last other one before it; 0 if there is none."""
    steps: list[int] = []
    current: int | None = None
    other: int | None = None
    for number in keys:
        if number is not None and number != current:
            current, other = number, current
        steps.append(0 if number is None or other is None else other - number)
    return steps


def _tonic(key: Key) -> int:
    """Give the place of the tonic."""
    return key.fifths + 3 * (key.mode == "minor")
