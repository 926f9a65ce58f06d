"""Folds: every group once and whole, the same every time, and balanced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.evaluation.cross_validation import assign_folds

GROUPS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 2000), min_size=5, max_size=20)


def test_five_groups_by_hand():
    notes = {"a": 10, "b": 7, "c": 6, "d": 2, "e": 2}
    assert assign_folds(notes, 3) == [["a"], ["b", "e"], ["c", "d"]]


@given(GROUPS, st.integers(1, 5))
def test_every_group_is_held_out_once(notes, n_folds):
    folds = assign_folds(notes, n_folds)
    assert len(folds) == n_folds
    assert all(folds)
    assert sorted(group for fold in folds for group in fold) == sorted(notes)


@given(GROUPS, st.randoms(use_true_random=False))
def test_the_order_of_the_groups_does_not_matter(notes, random):
    shuffled = list(notes.items())
    random.shuffle(shuffled)
    assert assign_folds(notes) == assign_folds(dict(shuffled))


@given(GROUPS, st.integers(1, 5))
def test_no_fold_exceeds_an_even_share_by_more_than_one_group(notes, n_folds):
    for fold in assign_folds(notes, n_folds):
        total = sum(notes[group] for group in fold)
        smallest = min(notes[group] for group in fold)
        assert total - smallest <= sum(notes.values()) / n_folds


def test_more_folds_than_groups_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"n_folds is 5, .* 2"):
        assign_folds({"a": 1, "b": 2})
