from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hf_model.notes.note import Note
from hf_model.singer.composition import compose, phrase_from_song, twinkle


def test_the_seed_determines_the_melody() -> None:
    assert compose(3, 10.0) == compose(3, 10.0)
    assert compose(3, 10.0) != compose(4, 10.0)


@pytest.mark.parametrize("n_seconds", [0.5, 3.0, 20.0])
def test_melodies_are_monophonic_and_end_in_time(n_seconds: float) -> None:
    for seed in range(60):
        notes = compose(seed, n_seconds)
        assert notes[0].onset == 0.0
        assert notes[-1].offset <= n_seconds + 1e-9
        assert all(first.offset <= second.onset + 1e-9 for first, second in pairwise(notes))
        assert all(note.pitch == round(note.pitch) and 30 <= note.pitch <= 92 for note in notes)


def test_melodies_vary_like_songs() -> None:
    songs = [compose(seed, 20.0) for seed in range(200)]
    steps = np.array([second.pitch - first.pitch for song in songs for first, second in pairwise(song)])
    gaps = np.array([second.onset - first.offset for song in songs for first, second in pairwise(song)])
    durations = np.array([note.duration for song in songs for note in song])
    middles = np.array([np.median([note.pitch for note in song]) for song in songs])
    assert 0.1 < np.mean(steps == 0) < 0.35, "repeated notes"
    assert 0.1 < np.mean(np.abs(steps) > 2) < 0.5, "leaps"
    assert 0.04 < np.mean(gaps > 0.1) < 0.3, "rests"
    assert 0.3 < np.median(durations) < 0.6
    assert middles.min() < 48
    assert middles.max() > 74


def test_a_phrase_keeps_the_intervals_of_its_song() -> None:
    song = [Note(0.5 * i, 0.5 * i + 0.45, pitch) for i, pitch in enumerate([60, 64, 67, 72, 71, 65, 62, 61])]
    intervals = np.diff([note.pitch for note in song]).tolist()
    for seed in range(20):
        phrase = phrase_from_song(song, seed, 3.0)
        found = np.diff([note.pitch for note in phrase]).tolist()
        assert any(intervals[i : i + len(found)] == found for i in range(len(intervals)))
        assert phrase[0].onset == 0.0
        assert phrase[-1].offset <= 3.0
    assert phrase_from_song(song, 1, 3.0) == phrase_from_song(song, 1, 3.0)


def test_a_phrase_cuts_overlaps_and_long_rests() -> None:
    song = [Note(0.0, 1.2, 60), Note(1.0, 2.0, 62), Note(30.0, 31.0, 64)]
    phrase = next(p for p in (phrase_from_song(song, seed, 8.0) for seed in range(50)) if len(p) == 3)
    assert phrase[0].offset <= phrase[1].onset
    assert phrase[2].onset - phrase[1].offset <= 1.5


def test_twinkle_has_its_pitches() -> None:
    assert [note.pitch for note in twinkle(keynote=60)] == [60, 60, 67, 67, 69, 69, 67, 65, 65, 64, 64, 62, 62, 60]


def test_invalid_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match=r"n_seconds is 0\.1, allowed is 0\.5"):
        compose(0, 0.1)
    with pytest.raises(ValueError, match="notes is empty"):
        phrase_from_song([], 0, 5.0)
