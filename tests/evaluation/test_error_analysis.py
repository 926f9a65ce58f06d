"""Kinds of mistakes: melodies of five notes whose verdicts can be checked by eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.evaluation.error_analysis import KINDS, RIGHT, TRAITS, judge, traits
from hf_model.evaluation.note_matching import match_notes
from hf_model.notes.note import Note

SUNG = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 62), Note(1.1, 1.6, 64), Note(1.6, 2.1, 64), Note(2.5, 3.5, 67)]
"""Two notes bound, a short gap, two on one pitch, a gap, a long one."""


def kinds(estimate, reference=SUNG):
    return [verdict.kind for verdict in judge(reference, estimate)]


def changed(index, **values):
    """SUNG with one note replaced."""
    old = SUNG[index]
    new = Note(values.get("onset", old.onset), values.get("offset", old.offset), values.get("pitch", old.pitch))
    return [*SUNG[:index], new, *SUNG[index + 1 :]]


def test_what_was_sung_is_right():
    assert kinds(SUNG) == [RIGHT] * 5


@pytest.mark.parametrize(
    ("index", "values", "kind"),
    [
        (0, {"pitch": 60.4}, RIGHT),
        (0, {"pitch": 60.6}, "50-75 cents"),
        (0, {"pitch": 59.0}, "semitone"),
        (0, {"pitch": 63.0}, "other pitch"),
        (0, {"pitch": 72.3}, "octave"),
        (4, {"pitch": 43.0}, "octave"),
        (4, {"onset": 2.54}, RIGHT),
        (4, {"onset": 2.6}, "onset late"),
        (4, {"onset": 2.4}, "onset early"),
        (4, {"offset": 3.65}, RIGHT),
        (4, {"offset": 3.75}, "offset late"),
        (4, {"offset": 3.2}, "offset early"),
        (2, {"offset": 1.45}, "offset early"),
    ],
)
def test_one_note_changed_is_one_mistake_of_that_kind(index, values, kind):
    expected = [RIGHT] * 5
    expected[index] = kind
    assert kinds(changed(index, **values)) == expected


def test_a_note_left_out_is_missed():
    assert kinds(SUNG[:4]) == [RIGHT] * 4 + ["missed"]


def test_a_note_that_nobody_sang_is_extra_and_comes_last():
    verdicts = judge(SUNG, [*SUNG, Note(2.15, 2.4, 60)])
    assert [verdict.kind for verdict in verdicts] == [RIGHT] * 5 + ["extra"]
    assert verdicts[-1].reference is None
    assert verdicts[-1].onset == 2.15


def test_two_notes_heard_as_one_are_both_merged():
    assert kinds([*SUNG[:2], Note(1.1, 2.1, 64), SUNG[4]]) == [RIGHT, RIGHT, "merged", "merged", RIGHT]


def test_one_note_heard_as_two_is_split_once_and_nothing_is_extra():
    assert kinds([*SUNG[:4], Note(2.5, 2.9, 67), Note(2.92, 3.5, 67)]) == [RIGHT] * 4 + ["split"]


def test_a_note_cut_short_before_another_pitch_is_no_split():
    assert kinds([*SUNG[:4], Note(2.5, 2.9, 67), Note(2.92, 3.5, 70)]) == [RIGHT] * 4 + ["offset early", "extra"]


def test_nothing_on_either_side():
    assert kinds([]) == ["missed"] * 5
    assert kinds(SUNG, []) == ["extra"] * 5
    assert kinds([], []) == []


def test_a_pitch_that_is_right_counts_before_one_that_is_near():
    two = [Note(0.0, 0.04, 72), Note(0.04, 0.5, 60)]
    assert kinds(two, SUNG[:1]) == [RIGHT, "extra"]


def test_traits_of_five_notes():
    assert list(traits(SUNG)) == [
        ("middling", "middle", "first of a phrase"),
        ("middling", "middle", "legato onset", "step"),
        ("middling", "middle", "onset after a gap", "step"),
        ("middling", "middle", "legato onset", "repeated pitch"),
        ("long", "high", "onset after a gap", "leap", "last of a phrase"),
    ]


def test_a_short_low_note_alone_is_first_and_last():
    assert list(traits([Note(1.0, 1.1, 45)])) == [("short", "low", "first of a phrase", "last of a phrase")]


@st.composite
def melodies(draw):
    """Up to six notes without overlap, on a coarse grid, so that near misses are common."""
    notes, now = [], 0.0
    for _ in range(draw(st.integers(0, 6))):
        now += draw(st.sampled_from([0.0, 0.03, 0.1, 0.5]))
        length = draw(st.sampled_from([0.06, 0.1, 0.3, 1.0]))
        notes.append(Note(now, now + length, draw(st.sampled_from([55.0, 60.0, 60.6, 61.0, 72.0]))))
        now += length
    return notes


@given(melodies(), melodies())
def test_every_note_has_one_verdict_and_the_right_ones_are_those_that_conpoff_counts(reference, estimate):
    verdicts = judge(reference, estimate)
    assert [verdict.reference for verdict in verdicts if verdict.reference] == reference
    assert {verdict.kind for verdict in verdicts} <= {RIGHT, *KINDS}
    assert {trait for verdict in verdicts for trait in verdict.traits} <= set(TRAITS)
    assert sum(verdict.kind == RIGHT for verdict in verdicts) == match_notes(reference, estimate).conpoff
    extra = [verdict.estimate for verdict in verdicts if verdict.kind == "extra"]
    assert all(note in estimate for note in extra)
    assert len(extra) == len(set(extra))
