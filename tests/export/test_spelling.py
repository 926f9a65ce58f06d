"""Names of piano keys in a key, and of chromatic notes by those beside them."""

from __future__ import annotations

import pytest

from hf_model.export.spelling import letter_and_alter, spell_class, spell_line
from hf_model.music.key import MODES, Key, parse_key


def spelled(keys: list[int | None], key: str) -> str:
    signs = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}
    names = ["-" if place is None else letter_and_alter(place) for place in spell_line(keys, parse_key(key))]
    return " ".join(name if isinstance(name, str) else name[0] + signs[name[1]] for name in names)


@pytest.mark.parametrize(
    ("key", "keys", "names"),
    [
        ("C major", [60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72], "C C# D D# E F F# G G# A A# B C"),
        ("C major", [72, 71, 70, 69, 68, 67, 66, 65, 64, 63, 62, 61, 60], "C B Bb A Ab G F# F E Eb D Db C"),
        ("Eb major", [63, 65, 67, 68, 70, 72, 74, 75], "Eb F G Ab Bb C D Eb"),
        ("Db major", [61, 66, 71, 72, 73], "Db Gb B C Db"),
        ("A minor", [69, 68, 69, 66, 68, 69, 67, 65, 64], "A G# A F# G# A G F E"),
        ("G minor", [67, 66, 67, 68, 67, 71, 72, 73, 74], "G F# G Ab G B C C# D"),
        ("C minor", [60, 63, 68, 70, 71, 72, 66, 67], "C Eb Ab Bb B C F# G"),
        ("D major", [62, 63, 62], "D Eb D"),
        ("D major", [63, 63, None, 64], "D# D# - E"),
        ("C major", [67, 68, 60], "G Ab C"),
        ("C major", [69, 68, 64], "A G# E"),
        ("C major", [60, 70, 63, 60], "C Bb Eb C"),
        ("F# major", [66, 67, 68, 65], "F# F## G# E#"),
    ],
)
def test_notes_are_spelt_by_the_key_and_where_they_lead(key: str, keys: list[int | None], names: str) -> None:
    assert spelled(keys, key) == names


@pytest.mark.parametrize("mode", MODES)
def test_the_notes_of_a_scale_are_those_of_its_signature(mode: str) -> None:
    for tonic in range(12):
        key = Key(tonic, mode)
        steps = (0, 2, 4, 5, 7, 9, 11) if mode == "major" else (0, 2, 3, 5, 7, 8, 10)
        places = sorted(spell_class((tonic + step) % 12, key) for step in steps)
        assert places == list(range(key.fifths - 1, key.fifths + 6)), key.name
        line = spell_line([60 + tonic + step for step in steps], key)
        assert sorted(place for place in line if place is not None) == places


def test_every_name_is_that_of_its_key() -> None:
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    keys: list[int | None] = [60, 73, 66, 67, None, 63, 62, 61, 70, 58, 71, 56, 56, 57]
    for tonic in range(12):
        for mode in MODES:
            for number, place in zip(keys, spell_line(keys, Key(tonic, mode)), strict=True):
                assert (number is None) == (place is None)
                if number is not None and place is not None:
                    letter, alter = letter_and_alter(place)
                    assert (natural[letter] + alter - number) % 12 == 0
