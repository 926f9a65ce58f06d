"""Kinds of errors: melodies of five notes, checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.evaluation.error_analysis import KINDS, RIGHT, TRAITS, classify_errors, traits
from hf_model.evaluation.note_matching import match_notes
from hf_model.notes.note import Note

MELODY = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 62), Note(1.1, 1.6, 64), Note(1.6, 2.1, 64), Note(2.5, 3.5, 67)]
"""Two legato notes, a short gap, two on one pitch, a gap, a long one."""


def kinds(estimate, reference=MELODY):
    return [outcome.kind for outcome in classify_errors(reference, estimate)]


def changed(index, **values):
    """MELODY with one note replaced."""
    old = MELODY[index]
    new = Note(values.get("onset", old.onset), values.get("offset", old.offset), values.get("pitch", old.pitch))
    return [*MELODY[:index], new, *MELODY[index + 1 :]]


def test_equal_notes_are_right():
    assert kinds(MELODY) == [RIGHT] * 5


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
def test_one_changed_note_is_one_error_of_that_kind(index, values, kind):
    expected = [RIGHT] * 5
    expected[index] = kind
    assert kinds(changed(index, **values)) == expected


def test_a_note_left_out_is_missed():
    assert kinds(MELODY[:4]) == [RIGHT] * 4 + ["missed"]


def test_an_additional_note_is_extra_and_comes_last():
    outcomes = classify_errors(MELODY, [*MELODY, Note(2.15, 2.4, 60)])
    assert [outcome.kind for outcome in outcomes] == [RIGHT] * 5 + ["extra"]
    assert outcomes[-1].reference is None
    assert outcomes[-1].onset == 2.15


def test_two_notes_transcribed_as_one_are_both_merged():
    assert kinds([*MELODY[:2], Note(1.1, 2.1, 64), MELODY[4]]) == [RIGHT, RIGHT, "merged", "merged", RIGHT]


def test_one_note_transcribed_as_two_is_split_once():
    assert kinds([*MELODY[:4], Note(2.5, 2.9, 67), Note(2.92, 3.5, 67)]) == [RIGHT] * 4 + ["split"]


def test_a_short_note_before_another_pitch_is_not_split():
    assert kinds([*MELODY[:4], Note(2.5, 2.9, 67), Note(2.92, 3.5, 70)]) == [RIGHT] * 4 + ["offset early", "extra"]


def test_without_notes():
    assert kinds([]) == ["missed"] * 5
    assert kinds(MELODY, []) == ["extra"] * 5
    assert kinds([], []) == []


def test_the_right_pitch_is_paired_before_the_nearer_onset():
    two = [Note(0.0, 0.04, 72), Note(0.04, 0.5, 60)]
    assert kinds(two, MELODY[:1]) == [RIGHT, "extra"]


def test_traits_of_five_notes():
    assert list(traits(MELODY)) == [
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
def test_right_notes_are_those_that_conpoff_counts(reference, estimate):
    outcomes = classify_errors(reference, estimate)
    assert [outcome.reference for outcome in outcomes if outcome.reference] == reference
    assert {outcome.kind for outcome in outcomes} <= {RIGHT, *KINDS}
    assert {trait for outcome in outcomes for trait in outcome.traits} <= set(TRAITS)
    assert sum(outcome.kind == RIGHT for outcome in outcomes) == match_notes(reference, estimate).conpoff
    extra = [outcome.estimate for outcome in outcomes if outcome.kind == "extra"]
    assert all(note in estimate for note in extra)
    assert len(extra) == len(set(extra))
