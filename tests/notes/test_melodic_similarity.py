from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.notes.melodic_similarity import (
    INTERVAL_WEIGHTS,
    LENGTH_WEIGHT,
    contour_distance,
    sample_contour,
    similarities,
    similarity,
)
from hf_model.notes.note import Note
from hf_model.singer.composition import compose, twinkle


def line(*parts: tuple[float, float]) -> list[Note]:
    """Notes one after the other from (pitch, seconds)."""
    ends = np.cumsum([seconds for _, seconds in parts])
    return [Note(float(end - seconds), float(end), pitch) for (pitch, seconds), end in zip(parts, ends, strict=True)]


def test_a_wrong_note_costs_its_interval_times_its_length():
    whole = 2 * LENGTH_WEIGHT * 2.0
    right = line((60, 0.5), (64, 0.5), (67, 1.0))
    third = line((60, 0.5), (67, 0.5), (67, 1.0))
    assert similarity(right, third) == pytest.approx(1 - INTERVAL_WEIGHTS[3] * 0.5 / whole)
    second = line((60, 0.5), (65, 0.5), (67, 1.0))
    assert 1 - INTERVAL_WEIGHTS[1] * 0.5 / whole < similarity(right, second) < similarity(right, third)


def test_a_long_note_in_place_of_fragments_costs_nothing():
    assert similarity(line((60, 1.0), (62, 1.0)), line((60, 0.25), (60, 0.75), (62, 1.0))) == pytest.approx(1)
    assert similarity(line((60, 0.5), (60, 0.25), (60, 0.25)), line((60, 1.0))) == pytest.approx(1)


def test_a_note_left_out_costs_its_length():
    full = line((60, 1.0), (67, 1.0))
    assert similarity(full, full[:1]) == pytest.approx(1 - 1.0 / 3.0)


def test_keys_and_octaves_do_not_count():
    tune = twinkle()
    for shift in (-12, -5, 1, 7):
        assert similarity(tune, [replace(note, pitch=note.pitch + shift) for note in tune]) == pytest.approx(1)


def test_another_tune_is_less_like_it_than_its_own_skeleton():
    tune = twinkle()
    assert similarity(tune, tune[::2]) > max(similarity(tune, compose(seed, 9.0)) for seed in range(8))


def test_silence():
    assert similarity([], []) == 1
    assert similarity(twinkle(), []) == pytest.approx(0)
    assert similarities(twinkle(), []).shape == (0,)


def test_many_at_once_are_as_one_by_one():
    songs = [compose(seed, 4.0 + seed) for seed in range(5)]
    together = similarities(songs[2], songs)
    assert together == pytest.approx([similarity(songs[2], song) for song in songs])
    assert together.argmax() == 2
    quick = similarities(songs[2], songs, n_keys=4)
    assert quick[2] == pytest.approx(1)
    assert np.all(quick <= together + 1e-9)


melodies = st.lists(st.tuples(st.integers(40, 80), st.sampled_from([0.2, 0.4, 1.0])), max_size=12)


@settings(max_examples=40, deadline=None)
@given(melodies, melodies)
def test_it_is_symmetric_bounded_and_one_with_itself(a, b):
    first, second = line(*a), line(*b)
    value = similarity(first, second)
    assert -1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(similarity(second, first), abs=1e-9)
    assert similarity(first, first) == pytest.approx(1)


def test_contours():
    low, high = line((60, 1.0), (62, 1.0)), line((67, 1.0), (69, 1.0))
    assert contour_distance(low, high) == pytest.approx(0)
    assert contour_distance(low, line((60, 1.0), (60, 1.0))) == pytest.approx(1, abs=0.02)
    assert contour_distance(low, []) == 0
    times = np.array([0.5, 1.5, 2.5])
    assert np.array_equal(sample_contour(low, times), [60, 62, np.nan], equal_nan=True)
