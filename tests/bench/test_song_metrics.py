"""Figures of songs on a few notes: pitches up to the octave, shifts of a whole song, rests."""

import pytest

from bench.songs.song_metrics import karaoke_figures, note_figures, rest_figures
from hf_model.notes.note import Note

REFERENCE = [Note(1.0, 2.0, 60.0), Note(2.0, 3.0, 62.0), Note(10.0, 11.0, 64.0)]


def test_karaoke_notes_count_up_to_the_octave_within_150_ms() -> None:
    estimate = [Note(1.14, 2.0, 72.3), Note(2.0, 3.0, 63.0), Note(10.2, 11.0, 64.0)]  # octave; wrong pitch; late
    figures = karaoke_figures([(REFERENCE, estimate)], [12.0])
    assert figures["folded"]["mean"] == pytest.approx(1 / 3, abs=1e-3)


def test_a_whole_song_may_be_late() -> None:
    estimate = [Note(note.onset + 0.28, note.offset + 0.28, note.pitch) for note in REFERENCE]
    figures = karaoke_figures([(REFERENCE, estimate)], [12.0])
    assert (figures["folded"]["mean"], figures["folded_shifted"]["mean"]) == (0.0, 1.0)


def test_false_notes_are_counted_in_long_rests_only() -> None:
    estimate = [*REFERENCE, Note(5.0, 6.0, 50.0), Note(0.4, 0.6, 50.0), Note(3.05, 3.25, 50.0)]
    figures = rest_figures([(REFERENCE, estimate)], [12.0])
    # only the rest from 3 to 10 s is long: 6.4 s of it count, with one note
    assert figures == {"rest_seconds": 6.4, "false_notes_a_minute": 9.38, "voiced_recall": 1.0}


def test_a_song_without_a_singer_is_one_rest() -> None:
    figures = rest_figures([([], [Note(5.0, 6.0, 50.0)])], [10.6])
    assert figures == {"rest_seconds": 10.0, "false_notes_a_minute": 6.0, "voiced_recall": None}


def test_scores_are_pooled_over_songs() -> None:
    octave = [Note(1.0, 2.0, 72.0), Note(2.0, 2.5, 62.0), Note(10.0, 11.0, 64.0)]
    figures = note_figures([(REFERENCE, octave), (REFERENCE, [])], [12.0, 12.0])
    assert figures["con"]["mean"] == pytest.approx(6 / 9, abs=1e-3)
    assert figures["conp"]["mean"] == pytest.approx(4 / 9, abs=1e-3)
    assert figures["conpoff"]["mean"] == pytest.approx(2 / 9, abs=1e-3)
    assert figures["octave_error_percent"] == pytest.approx(100 / 3, abs=0.01)
