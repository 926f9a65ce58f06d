from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.music.simplification import HAND, hand_moves, landmarks, metrical_weights, simplify
from hf_model.music.tempo import Tempo
from hf_model.notes.melodic_similarity import similarity
from hf_model.notes.note import Note
from hf_model.notes.ornaments import remove_ornaments
from hf_model.singer.composition import compose, twinkle


def line(*parts: tuple[float | None, float]) -> list[Note]:
    """Notes one after the other from (pitch, seconds); None is a rest."""
    ends = np.cumsum([seconds for _, seconds in parts])
    return [
        Note(float(end - seconds), float(end), pitch)
        for (pitch, seconds), end in zip(parts, ends, strict=True)
        if pitch is not None
    ]


def as_tuples(notes: list[Note]) -> list[tuple[float, float, float]]:
    return [(round(note.onset, 3), round(note.offset, 3), note.pitch) for note in notes]


def beats(bpm: float, n_beats: int, confidence: float = 1.0) -> Tempo:
    return Tempo(bpm, confidence, tuple(60.0 / bpm * k for k in range(n_beats)))


def test_a_mordent_is_merged_into_its_note():
    sung = line((60, 0.5), (67, 0.3), (69, 0.08), (67, 0.6), (64, 0.5))
    assert as_tuples(simplify(sung, 1)) == [(0, 0.5, 60), (0.5, 1.48, 67), (1.48, 1.98, 64)]
    quick = line((60, 0.5), (67, 0.06), (69, 0.06), (67, 0.6), (64, 0.5))
    assert as_tuples(simplify(quick, 1)) == [(0, 0.5, 60), (0.5, 1.22, 67), (1.22, 1.72, 64)]


def test_a_grace_note_is_merged_into_the_next_note():
    assert as_tuples(simplify(line((60, 0.5), (None, 0.2), (66, 0.08), (67, 0.6)), 1)) == [
        (0, 0.5, 60),
        (0.7, 1.38, 67),
    ]


def test_fragments_are_joined_and_repeated_notes_are_not():
    assert as_tuples(simplify(line((60, 0.5), (60, 0.08), (64, 0.5)), 1)) == [(0, 0.58, 60), (0.58, 1.08, 64)]
    for seconds in (0.3, 0.1):
        la_la = [replace(n, offset=n.offset - 0.04) for n in line((60, 0.3), (60, seconds), (60, 0.3))]
        assert simplify(la_la, 1) == la_la


def test_an_ornament_between_long_notes_leaves_two_notes():
    sung = line((67, 0.5), (69, 0.1), (67, 0.6))
    assert as_tuples(simplify(sung, 1)) == [(0, 0.6, 67), (0.6, 1.2, 67)]


def test_a_fast_scale_and_a_quick_leap_are_no_ornaments():
    scale = line(*((60 + k, 0.12) for k in range(8)))
    assert simplify(scale, 1) == scale
    leap = line((60, 0.5), (72, 0.1), (62, 0.5))
    assert simplify(leap, 1) == leap


def test_eighths_stay_and_sixteenths_between_them_go():
    tune = line((60, 0.25), (62, 0.125), (64, 0.125), (65, 0.25), (64, 0.25), (62, 0.5), (60, 0.5))
    kept = simplify(tune, 2, beats(120, 6))
    assert [note.pitch for note in kept] == [60, 62, 65, 64, 62, 60]
    assert kept[1].offset == pytest.approx(0.5), "the time of the sixteenth is not lost"


def test_level_three_is_on_the_beats():
    tune = line((60, 0.5), (62, 0.375), (64, 0.125), (65, 0.5), (64, 0.5), (62, 0.5), (60, 1.0))
    kept = simplify(tune, 3, beats(120, 8))
    assert [note.onset for note in kept] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert [note.pitch for note in kept] == [60, 62, 65, 64, 62, 60]
    assert [note.duration for note in kept] == [0.5, 0.5, 0.5, 0.5, 0.5, 1]


def test_a_skeleton_that_nobody_would_know_gets_more_notes():
    tune = line(*((60 + step, 0.25) for step in (0, 2, 4, 2, 5, 4, 2, 4)), (60, 1.0))
    kept = simplify(tune, 3, beats(120, 8))
    assert 5 < len(kept) < len(tune)
    assert similarity(tune, kept) > 0.85


def test_the_highest_and_the_last_note_of_a_phrase_are_marked():
    tune = line((60, 0.5), (67, 0.5), (69, 0.5), (60, 1.0), (64, 0.5), (62, 0.5), (62, 0.5), (60, 1.0))
    assert np.flatnonzero(landmarks(tune)).tolist() == [2, 3, 4, 7]
    lone = line((60, 0.5), (62, 0.5), (75, 0.5), (60, 1.0))
    assert np.flatnonzero(landmarks(lone)).tolist() == [3], "an octave error is no peak"


@pytest.mark.parametrize("level", [2, 3])
@pytest.mark.parametrize("tempo", [None, beats(109, 60), beats(54.5, 30)])
def test_simplified_twinkle_keeps_its_peaks_and_its_endings(level, tempo):
    tune = twinkle()
    kept = {(round(note.onset, 2), note.pitch) for note in simplify(tune, level, tempo)}
    wanted = {(round(tune[index].onset, 2), tune[index].pitch) for index in np.flatnonzero(landmarks(tune))}
    assert max(pitch for _, pitch in wanted) == max(note.pitch for note in tune)
    assert wanted <= kept


def test_a_tune_within_five_keys_is_unchanged():
    tune = line((60, 0.6), (62, 0.6), (64, 0.6), (65, 0.6), (67, 1.2))
    assert as_tuples(simplify(tune, 3)) == as_tuples(tune)


def test_a_beginners_hand_seldom_moves():
    for seed in range(6):
        tune = compose(seed, 30.0)
        assert hand_moves(simplify(tune, 3)) <= hand_moves(tune)
    assert hand_moves(line((60, 1), (67, 1), (68, 1))) == 1
    assert hand_moves(line((60, 1), (60 + HAND, 1), (62, 1))) == 0


def test_a_lone_high_note_does_not_move_the_hand():
    tune = line(*((60 + step, 0.6) for step in (0, 2, 4, 5, 7, 21, 7, 5, 4, 2, 0)))
    kept = simplify(tune, 3)
    assert hand_moves(kept) == 0
    assert [note.pitch for note in kept[:5]] == [60, 62, 64, 65, 67]


def test_removed_notes_leave_no_holes():
    tune = compose(5, 20.0)
    for level in (1, 2, 3):
        kept = simplify(tune, level)
        gaps = [b.onset - a.offset for a, b in pairwise(kept)]
        rests = [b.onset - a.offset for a, b in pairwise(tune)]
        assert sum(gap > 0.3 for gap in gaps) <= sum(rest > 0.2 for rest in rests) + 1


def test_the_first_beat_has_the_largest_weight():
    tempo = Tempo(120.0, 1.0, tuple(0.5 * k for k in range(9)), downbeat=1)
    weights = metrical_weights(np.array([0.5, 1.0, 0.75, 0.62, 2.5]), tempo)
    assert weights == pytest.approx([1.0, 0.7, 0.35, 0.13, 1.0], abs=0.1)
    compound = Tempo(60.0, 1.0, (0.0, 1.0, 2.0, 3.0), meter=(6, 8))
    assert metrical_weights(np.array([0.0, 1.0, 1 / 3, 2.0]), compound) == pytest.approx([1.0, 0.7, 0.35, 1.0])


def test_unknown_levels_are_refused():
    assert simplify([], 3) == []
    with pytest.raises(ConfigError, match="simplify is 4, allowed is 0 to 3"):
        simplify(twinkle(), 4)


def test_every_level_of_twinkle_is_similar_to_it():
    for level in range(4):
        assert similarity(twinkle(), simplify(twinkle(), level)) > 0.85


tunes = st.lists(st.tuples(st.floats(0, 127), st.floats(0.02, 2.0), st.floats(0, 0.6)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(tunes, st.integers(0, 3), st.booleans())
def test_any_melody_gets_simpler_and_stays_a_melody(parts, level, known):
    notes, now = [], 0.0
    for pitch, seconds, rest in parts:
        notes.append(Note(now, now + seconds, pitch))
        now += seconds + rest
    kept = simplify(notes, level, beats(100, 30, 1.0) if known else None)
    assert len(kept) <= len(notes)
    assert bool(kept) == bool(notes)
    assert all(a.offset <= b.onset + 1e-9 for a, b in pairwise(kept))
    if notes:
        assert kept[0].onset >= notes[0].onset - 1e-9
        assert kept[-1].offset <= notes[-1].offset + 1e-9
    if level < 3:
        assert {note.pitch for note in kept} <= {note.pitch for note in notes}
    if level == 0:
        assert kept == notes
    assert remove_ornaments(remove_ornaments(kept)) is not None
