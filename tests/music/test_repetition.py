from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.export.repetition_picture import save_repeats_picture
from hf_model.music.repetition import MAX_NOTES, dissimilarity, find_repetitions
from hf_model.music.repetition_voting import agree, proposals
from hf_model.notes.note import Note
from hf_model.singer.composition import compose

A = ((60, 0.5), (62, 0.5), (64, 0.5), (60, 0.5), (65, 0.25), (64, 0.25), (62, 0.5), (67, 1.0))
B = ((69, 1.0), (65, 0.5), (69, 0.5), (72, 0.75), (70, 0.25), (69, 1.0))


def song(*phrases: tuple[tuple[float, float], ...]) -> list[Note]:
    notes, now = [], 0.0
    for phrase in phrases:
        for pitch, seconds in phrase:
            notes.append(Note(now, now + seconds, float(pitch)))
            now += seconds
    return notes


def moved(phrase, semitones):
    return tuple((pitch + semitones, seconds) for pitch, seconds in phrase)


def as_tuples(notes: list[Note]) -> list[tuple[float, float]]:
    return [(note.pitch, round(note.onset, 3)) for note in notes]


def test_the_a_of_aaba_is_found():
    found = find_repetitions(song(A, A, B, A))
    assert {(r.first, r.second) for r in found} >= {((0, 7), (8, 15)), ((0, 7), (22, 29)), ((8, 15), (22, 29))}
    assert all(r.transposition == 0 for r in found)
    assert found[0].score == pytest.approx(8)


def test_a_phrase_in_another_key_is_found():
    long = A + B[:4]
    (found,) = find_repetitions(song(long, moved(long, 5)))
    assert found.transposition == 5
    assert found.first == (0, 11)
    assert found.second == (12, 23)


def test_immediate_repetitions_are_split():
    (found,) = [r for r in find_repetitions(song(A, A, A)) if r.pairs[0] == (0, 8)]
    assert len(found.pairs) == 16
    assert found.phrases == [(0, 7), (8, 15), (16, 23)]
    assert find_repetitions(song(A, B, A))[0].phrases == [(0, 7), (14, 21)]


def test_uneven_timing_and_tuning_are_tolerated():
    rng = np.random.default_rng(3)
    notes = [
        replace(n, onset=max(n.onset + rng.uniform(-0.03, 0.03), 0), offset=n.offset + 0.04, pitch=n.pitch + 0.45)
        for n in song(A, A, B, A)
    ]
    found = find_repetitions(notes, tuning=0.45)
    assert {(r.first, r.second) for r in found} >= {((0, 7), (8, 15)), ((0, 7), (22, 29))}


def test_a_melody_without_repetition():
    chromatic = [Note(0.3 * k, 0.3 * k + 0.3, float(50 + k)) for k in range(30)]
    assert find_repetitions(chromatic) == []
    assert find_repetitions([Note(0.3 * k, 0.3 * k + 0.2, 60.0) for k in range(40)]) == []
    assert find_repetitions([]) == []
    assert find_repetitions(song(A[:3])) == []


def test_one_wrong_note_of_three_is_outvoted():
    right = song(A, A, B, A)
    for index, pitch in ((11, 61.0), (26, 77.0), (3, 58.0)):
        wrong = [*right]
        wrong[index] = replace(wrong[index], pitch=pitch)
        corrected_notes, corrections = agree(wrong, find_repetitions(wrong))
        assert len(corrections) == 1
        assert as_tuples(corrected_notes) == as_tuples(right)


def test_missing_and_extra_notes_are_corrected():
    right = song(A + B, A + B, A + B)
    missing = right[:17] + right[18:]
    corrected_notes, corrections = agree(missing, find_repetitions(missing))
    assert len(corrections) == 1
    assert as_tuples(corrected_notes) == as_tuples(right)
    note = right[17]
    middle = (note.onset + note.offset) / 2
    extra = [*right[:17], replace(note, offset=middle), replace(note, onset=middle, pitch=61.0), *right[18:]]
    corrected_notes, corrections = agree(extra, find_repetitions(extra))
    assert len(corrections) == 1
    assert as_tuples(corrected_notes) == as_tuples(right)
    assert corrected_notes[17].offset == pytest.approx(note.offset)


def test_correct_notes_stay():
    right = song(A, A, B, A)
    assert agree(right, find_repetitions(right)) == (right, [])
    assert agree(right, []) == (right, [])


def test_corrections_keep_the_singers_tuning():
    wrong = [replace(note, pitch=note.pitch + 0.3) for note in song(A, A, B, A)]
    wrong[11] = replace(wrong[11], pitch=61.3)
    corrected_notes, _ = agree(wrong, find_repetitions(wrong, 0.3), 0.3)
    assert corrected_notes[11].pitch == pytest.approx(60.3)


def test_votes_are_counted():
    wrong = song(A, A, B, A)
    wrong[11] = replace(wrong[11], pitch=61.0)
    (best,) = [p for p in proposals(wrong, find_repetitions(wrong)) if p.index == 11]
    assert (best.kind, best.pitch, best.votes, best.against) == ("pitch", 60, 2, 0)
    assert best.plausibility > 0, "61 is rare in this melody"


def test_dissimilarity_is_small_for_equal_phrases():
    notes = song(A, B, moved(A, 5))
    times = np.arange(0.0, notes[-1].offset, 0.25)
    matrix = dissimilarity(notes, times, 2.0)
    assert matrix.shape == (len(times),) * 2
    assert np.allclose(matrix, matrix.T)
    assert np.all(np.diag(matrix) == 0)
    second = notes[14].onset
    for moment in (1.0, 2.0, 3.0):
        row, column = round(moment / 0.25), round((second + moment) / 0.25)
        assert matrix[row, column] < 0.3, "the same phrase a fourth higher"
        assert dissimilarity(notes, times, 2.0, transposed=False)[row, column] == pytest.approx(5, abs=0.3)
        assert np.median(matrix[row]) > 1
    assert dissimilarity([], times).shape == matrix.shape


def test_the_picture_is_drawn_also_without_notes(tmp_path):
    from matplotlib.image import imread

    for name, notes in (("tune", song(A, A, B, moved(A, 5))), ("nothing", []), ("one", song(A[:1]))):
        path = tmp_path / f"{name}.png"
        save_repeats_picture(path, notes, "AABA $x_1$ \ud800")
        picture = imread(path)
        assert picture.shape[0] > 900
        assert picture.std() > 0.05


def test_long_melodies_take_little_time():
    minute = compose(1, 30.0) + [replace(n, onset=n.onset + 30, offset=n.offset + 30) for n in compose(1, 30.0)]
    started = time.perf_counter()
    assert find_repetitions(minute)
    assert time.perf_counter() - started < 2.0
    assert find_repetitions([Note(0.2 * k, 0.2 * k + 0.1, 60.0) for k in range(MAX_NOTES + 1)]) == []


parts = st.lists(st.tuples(st.integers(0, 127), st.floats(0.05, 1.0)), max_size=14)


@settings(max_examples=40, deadline=None)
@given(parts, st.integers(1, 3), st.integers(0, 40), st.integers(-30, 30))
def test_any_melody_stays_a_melody(phrase, times, index, step):
    notes = song(*([tuple(phrase)] * times))
    if notes:
        index %= len(notes)
        notes[index] = replace(notes[index], pitch=float(np.clip(notes[index].pitch + step, 0, 127)))
    corrected, corrections = agree(notes, find_repetitions(notes))
    assert abs(len(corrected) - len(notes)) <= len(corrections)
    assert all(a.offset <= b.onset + 1e-9 for a, b in pairwise(corrected))


def test_notes_at_the_same_time_are_no_rhythm():
    chord = [Note(1.0, 2.0, float(key)) for key in (60, 64, 67, 72)]
    assert find_repetitions(chord * 3) == []
