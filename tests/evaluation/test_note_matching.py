"""Note scores: five notes that the eye can check, and mir_eval as the judge of everything else."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.evaluation.note_matching import Matches, add_matches, match_notes
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz

REFERENCE = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 62), Note(1.0, 1.5, 64), Note(1.5, 2.5, 65), Note(3.0, 3.2, 67)]


def test_five_notes():
    estimate = [
        Note(0.02, 0.5, 60),  # right
        Note(0.54, 1.0, 62.4),  # right: 40 ms, 40 cents
        Note(1.0, 1.5, 64.6),  # 60 cents off
        Note(1.52, 2.25, 65),  # ends 250 ms early: 20 % of a second are 200
        Note(3.06, 3.2, 67),  # 60 ms late
    ]
    assert match_notes(REFERENCE, estimate) == Matches(5, 5, con=4, conp=3, conpoff=2)


def test_an_offset_may_miss_by_the_larger_of_50_ms_and_a_fifth_of_the_reference():
    long, short = [Note(0, 1, 60)], [Note(0, 0.1, 60)]
    assert match_notes(long, [Note(0, 0.81, 60)]).conpoff == 1
    assert match_notes(long, [Note(0, 0.79, 60)]).conpoff == 0
    assert match_notes(short, [Note(0, 0.149, 60)]).conpoff == 1
    assert match_notes(short, [Note(0, 0.16, 60)]).conpoff == 0


def test_one_estimate_pays_for_one_reference_and_partners_are_swapped_where_that_helps():
    assert match_notes([Note(0, 1, 60), Note(0.03, 1, 60)], [Note(0, 1, 60)]).con == 1
    reference, estimate = [Note(0.00, 1, 60), Note(0.04, 1, 60)], [Note(0.045, 1, 60), Note(0.08, 1, 60)]
    assert match_notes(reference, estimate).con == 2, "a greedy match would give the first away"


@pytest.mark.parametrize(
    ("reference", "estimate", "expected"), [([], [], 1.0), (REFERENCE, [], 0.0), ([], REFERENCE, 0.0)]
)
def test_nothing_to_find_and_nothing_found(reference, estimate, expected):
    assert set(match_notes(reference, estimate).f_measures().values()) == {expected}


def test_counts_add_up_over_recordings():
    parts = [Matches(5, 4, 3, 2, 1), Matches(1, 2, 1, 1, 1)]
    assert add_matches(parts) == Matches(6, 6, 4, 3, 2)
    assert add_matches(parts).f_measures() == pytest.approx({"con": 4 / 6, "conp": 3 / 6, "conpoff": 2 / 6})
    assert add_matches([]) == Matches(0, 0, 0, 0, 0)


# Onsets every 10 ms, pitches that never differ by just 50 cents: many near misses, and no question of rounding.
melody = st.lists(
    st.builds(
        lambda onset, length, pitch: Note(onset / 100, (onset + length) / 100, 60 + 0.19 * pitch),
        st.integers(0, 120),
        st.integers(2, 60),
        st.integers(-4, 4),
    ),
    max_size=14,
)


@settings(max_examples=200)
@given(melody, melody)
def test_mir_eval_counts_the_same(reference, estimate):
    arrays = []
    for notes in (reference, estimate):
        arrays += [
            np.array([[note.onset, note.offset] for note in notes]).reshape(-1, 2),
            pitch_to_hz([note.pitch for note in notes]),
        ]
    found = match_notes(reference, estimate)
    if not (reference and estimate):
        assert found[2:] == (0, 0, 0)
        return
    count = mir_eval.transcription.match_notes
    assert found.con == len(mir_eval.transcription.match_note_onsets(arrays[0], arrays[2]))
    assert found.conp == len(count(*arrays, offset_ratio=None))
    assert found.conpoff == len(count(*arrays, offset_ratio=0.2))
    assert found.con >= found.conp >= found.conpoff


def test_a_long_chain_of_choices_is_no_deep_recursion():
    reference = [Note(0.04 * n, 0.04 * n + 0.03, 60) for n in range(3000)]
    estimate = [Note(note.onset + 0.035, note.offset + 0.035, 60) for note in reference]
    assert match_notes(reference, estimate).con == match_notes(reference, estimate[::-1]).con == 3000
