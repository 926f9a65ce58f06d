"""Note matching: five notes checked by hand, and mir_eval as the reference for random notes."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.evaluation.note_matching import RULES, Matches, add_matches, find_hits, match_notes, match_pairs
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


def test_offset_tolerance_is_the_larger_of_50_ms_and_20_percent():
    long, short = [Note(0, 1, 60)], [Note(0, 0.1, 60)]
    assert match_notes(long, [Note(0, 0.81, 60)]).conpoff == 1
    assert match_notes(long, [Note(0, 0.79, 60)]).conpoff == 0
    assert match_notes(short, [Note(0, 0.149, 60)]).conpoff == 1
    assert match_notes(short, [Note(0, 0.16, 60)]).conpoff == 0


def test_each_note_is_matched_once_and_the_matching_is_maximal():
    assert match_notes([Note(0, 1, 60), Note(0.03, 1, 60)], [Note(0, 1, 60)]).con == 1
    reference, estimate = [Note(0.00, 1, 60), Note(0.04, 1, 60)], [Note(0.045, 1, 60), Note(0.08, 1, 60)]
    assert match_notes(reference, estimate).con == 2, "a greedy match would give the first away"


@pytest.mark.parametrize(("n_reference", "n_estimate"), [(2, 2), (3, 2), (2, 4), (4, 4)])
def test_ties_are_counted_as_mir_eval_counts_them(n_reference, n_estimate):
    reference = [Note(0.02 * (i // 2), 1.0, 60) for i in range(n_reference)]  # equal notes: many largest matchings
    estimate = [Note(0.01, 1.0, 60.2)] * n_estimate
    arrays = []
    for notes in (reference, estimate):
        arrays += [np.array([(n.onset, n.offset) for n in notes]), pitch_to_hz([n.pitch for n in notes])]
    pairs = match_pairs(reference, estimate, "conpoff")
    assert len(pairs) == len(mir_eval.transcription.match_notes(*arrays)) == min(n_reference, n_estimate)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert match_notes(reference, estimate).conpoff == len(pairs)


@pytest.mark.parametrize(
    ("reference", "estimate", "expected"), [([], [], 1.0), (REFERENCE, [], 0.0), ([], REFERENCE, 0.0)]
)
def test_scores_without_notes(reference, estimate, expected):
    assert set(match_notes(reference, estimate).f_measures().values()) == {expected}


def test_counts_add_up_over_recordings():
    parts = [Matches(5, 4, 3, 2, 1), Matches(1, 2, 1, 1, 1)]
    assert add_matches(parts) == Matches(6, 6, 4, 3, 2)
    assert add_matches(parts).f_measures() == pytest.approx({"con": 4 / 6, "conp": 3 / 6, "conpoff": 2 / 6})
    assert add_matches([]) == Matches(0, 0, 0, 0, 0)


# Onsets on a grid of 10 ms, pitch differences never of exactly 50 cents: many near misses, no rounding errors.
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
def test_counts_are_those_of_mir_eval(reference, estimate):
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
    for rule, hits in zip(RULES, find_hits(reference, estimate), strict=True):
        pairs = match_pairs(reference, estimate, rule)
        assert len(pairs) == getattr(found, rule)
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        assert all(hits[pair] for pair in pairs)


def test_a_long_augmenting_path():
    reference = [Note(0.04 * n, 0.04 * n + 0.03, 60) for n in range(3000)]
    estimate = [Note(note.onset + 0.035, note.offset + 0.035, 60) for note in reference]
    assert match_notes(reference, estimate).con == match_notes(reference, estimate[::-1]).con == 3000


@pytest.mark.parametrize(("onset", "n_matches"), [(0.05, 1), (0.05004, 1), (0.0501, 0)])
def test_onset_distances_are_rounded_to_100_microseconds(onset, n_matches):
    assert match_notes([Note(0.0, 1.0, 60)], [Note(onset, 1.0, 60)]).con == n_matches
    intervals = np.array([[0.0, 1.0]]), np.array([[onset, 1.0]])
    assert len(mir_eval.transcription.match_note_onsets(*intervals)) == n_matches


def test_pairs_without_notes():
    assert match_pairs([], REFERENCE, "con") == match_pairs(REFERENCE, [], "con") == []
    assert match_pairs(REFERENCE, REFERENCE[1:], "conpoff") == [(1, 0), (2, 1), (3, 2), (4, 3)]
