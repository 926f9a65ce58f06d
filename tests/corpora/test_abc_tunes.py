"""Tunes in ABC notation, written by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from hf_model.corpora.abc_tunes import key_signature, parse_tunes

TEXT = """
X:1
T:Test
M:3/4
L:1/8
K:G
D2|G2 B2 d2|f3 e/d/ c2|(3GAB c4|"Am"^c>d {g}=f2 z2|G6-|G4 D2|G6||

X:2
M:none
K:C
CDEFGABcdefgab|
"""


def test_onsets_pitches_and_bars():
    (tune,) = parse_tunes(TEXT, "file")
    assert (tune.name, tune.meter, tune.bar_length) == ("file-0", "3/4", 3)
    assert tune.bars == [1, 4, 7, 10, 13, 16, 19, 22]
    assert tune.notes[0] == (0, 1, 62)
    assert [key for _, _, key in tune.notes[4:8]] == [78, 76, 74, 72], "f is sharp in G"
    assert [length for _, length, _ in tune.notes[4:8]] == [Fraction(3, 2), Fraction(1, 4), Fraction(1, 4), 1]
    assert [length for _, length, _ in tune.notes[8:11]] == [Fraction(1, 3)] * 3
    assert tune.notes[12:15] == [(10, Fraction(3, 4), 73), (Fraction(43, 4), Fraction(1, 4), 74), (11, 1, 77)]
    assert tune.notes[15] == (13, 5, 67), "tied over the bar line"


def test_the_longest_strain_has_its_pick_up():
    (tune,) = parse_tunes(TEXT)
    strain = tune.longest_strain()
    assert strain.bars == [0, 3, 6, 9, 12, 15, 18, 21]
    assert strain.notes[0] == (-1, 1, 62)


@pytest.mark.parametrize(
    ("key", "letters"), [("C", {}), ("D", {"F": 1, "C": 1}), ("Gm", {"B": -1, "E": -1}), ("D mix", {"F": 1})]
)
def test_key_signatures(key, letters):
    assert key_signature(key) == letters
