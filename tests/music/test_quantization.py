"""Quantisation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.music.quantization import GRIDS, estimate_swing, quantize
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

STEADY = Tempo(60.0, 1.0, tuple(float(k) for k in range(13)))  # a beat a second
JIG = Tempo(60.0, 1.0, STEADY.beats, 0, (6, 8))


def notes_at(onsets, length=0.2):
    return [Note(float(onset), float(onset) + length, 60.0) for onset in onsets]


def onsets_of(notes):
    return [round(note.onset, 6) for note in notes]


def test_notes_go_to_the_nearest_sixteenth():
    sung = notes_at([0.03, 0.97, 1.52, 1.77, 2.1])
    assert onsets_of(quantize(sung, STEADY, "1/16")) == [0, 1, 1.5, 1.75, 2]


def test_strength_goes_part_of_the_way():
    sung = notes_at([0.04, 1.08])
    assert onsets_of(quantize(sung, STEADY, "1/8", strength=0.5)) == [0.02, 1.04]
    assert quantize(sung, STEADY, "1/8", strength=0.0) == sung


def test_triplets_and_the_thirds_of_a_jig():
    sung = notes_at([0.02, 0.31, 0.69, 1.02])
    thirds = [0, round(1 / 3, 6), round(2 / 3, 6), 1]
    assert onsets_of(quantize(sung, STEADY, "1/8t")) == thirds
    assert onsets_of(quantize(sung, JIG, "1/8")) == thirds


def test_two_notes_never_share_a_step():
    sung = notes_at([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 0.08)
    placed = onsets_of(quantize(sung, STEADY, "1/4"))
    assert len(set(placed)) == 8
    assert placed == sorted(placed)


def test_a_held_note_stays_held_and_a_short_one_short():
    sung = [Note(0.05, 0.98, 60.0), Note(1.0, 1.4, 62.0), Note(2.0, 2.9, 64.0)]
    placed = quantize(sung, STEADY, "1/8", duration=4.0)
    assert [(n.onset, n.offset) for n in placed] == [(0.0, 1.0), (1.0, 1.5), (2.0, 3.0)]


SWUNG = [0, 0.64, 1, 1.66, 2, 2.63, 3, 3.65, 4, 4.64, 5, 6]


def test_swing_is_measured_kept_or_straightened():
    sung = notes_at(SWUNG)
    assert estimate_swing(sung, STEADY) == pytest.approx(0.64, abs=0.02)
    kept = [onset % 1 for onset in onsets_of(quantize(sung, STEADY, "1/8"))][1:10:2]
    assert kept == pytest.approx([0.64] * 5, abs=0.02)
    even = [onset % 1 for onset in onsets_of(quantize(sung, STEADY, "1/8", swing="straighten"))][1:10:2]
    assert even == [0.5] * 5
    jig = [onset % 1 for onset in onsets_of(quantize(sung, JIG, "1/8", swing="straighten"))][1:10:2]
    assert jig == [0.5] * 5, "a swing notated as 6/8"


def test_straight_eighths_and_sixteenths_have_no_swing():
    assert estimate_swing(notes_at([0, 0.5, 1, 1.52, 2, 2.49, 3, 3.5]), STEADY) == 0.5
    assert estimate_swing(notes_at(np.arange(0, 5, 0.25)), STEADY) == 0.5
    assert estimate_swing(notes_at([0, 0.65]), STEADY) == 0.5


def test_nothing_ends_after_the_recording():
    placed = quantize([Note(0.9, 1.1, 60.0), Note(1.2, 1.45, 60.0)], STEADY, "1/4", duration=1.5)
    assert all(note.offset <= 1.5 for note in placed)
    assert quantize([], STEADY) == []


spans = st.tuples(st.floats(0.0, 0.8), st.floats(0.02, 0.8))


@given(
    st.lists(spans, min_size=1, max_size=40),
    st.sampled_from(list(GRIDS)),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
)
def test_any_notes_stay_in_order_and_within_the_recording(steps, grid, strength, even, compound):
    now, sung = 0.0, []
    for gap, length in steps:
        sung.append(Note(now + gap, now + gap + length, 60.0))
        now = sung[-1].offset
    tempo = JIG if compound else STEADY
    placed = quantize(sung, tempo, grid, strength=strength, swing="straighten" if even else "keep")
    assert len(placed) == len(sung)
    for before, after in pairwise(placed):
        assert before.offset <= after.onset + 1e-9
        assert before.onset < after.onset
    assert placed[0].onset >= 0
    assert placed[-1].offset <= now + 1e-9
