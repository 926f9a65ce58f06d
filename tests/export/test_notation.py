from __future__ import annotations

from fractions import Fraction

import pytest

from hf_model.export.notation import lay_bars, notate, split, with_rests
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

QUARTERS = Tempo(120.0, 1.0, tuple(0.5 * k for k in range(40)), meter=(4, 4))


def notes(*spans: tuple[float, float]) -> list[Note]:
    """Notes from onset and offset in quarters at 120 bpm."""
    return [Note(0.5 * onset, 0.5 * offset, 60.0) for onset, offset in spans]


def places(found) -> list[tuple[Fraction, Fraction]]:
    return [(start, end) for start, end, _ in found]


def test_a_breath_is_no_rest_and_a_silent_beat_is_one():
    assert places(notate(notes((0, 0.7), (1, 1.62), (2, 3)), QUARTERS)) == [(0, 1), (1, 2), (2, 3)]
    assert places(notate(notes((0, 0.9), (2, 3)), QUARTERS)) == [(0, 1), (2, 3)]
    assert places(notate(notes((0, 1.45), (2, 3)), QUARTERS)) == [(0, 1.5), (2, 3)]


def test_notes_that_are_late_and_early_by_half_a_sixteenth():
    assert places(notate(notes((0, 1.4), (1.41, 1.9), (1.9, 3)), QUARTERS)) == [(0, 1.5), (1.5, 2), (2, 3)]


def test_sextuplets_only_where_sixteenths_have_no_place():
    swung = notate(notes((0, 0.8), (0.83, 1), (1, 2)), QUARTERS)
    assert places(swung) == [(0, 0.75), (0.75, 1), (1, 2)]
    six = notate(notes(*((k / 6, (k + 1) / 6) for k in range(6)), (1, 2)), QUARTERS)
    assert [start for start, _ in places(six)[:6]] == [Fraction(k, 6) for k in range(6)]


def test_swung_eighths_are_written_as_even_ones():
    swung = notes((0, 0.66), (0.66, 1), (1, 1.66), (1.66, 2))
    assert places(notate(swung, QUARTERS, swing=0.66)) == [(0, 0.5), (0.5, 1), (1, 1.5), (1.5, 2)]


@pytest.mark.parametrize(("first", "bar"), [(-1, (-1, 0)), (1, (1, 4)), (0, (0, 4)), (0.5, (0, 4))])
def test_the_first_bar_begins_with_the_beat_of_the_first_note(first, bar):
    placed = [(Fraction(first), Fraction(first) + Fraction(1, 2), (60,)), (Fraction(4), Fraction(8), (60,))]
    assert lay_bars(placed, 4)[0] == bar


def test_triplets_of_sixteenths_do_not_cross_the_half_of_a_beat():
    bars = [(Fraction(0), Fraction(4))]
    parts = split(Fraction(1, 6), Fraction(5, 6), (60,), bars, QUARTERS)
    assert [(start, length, tie) for start, length, _, tie in parts] == [
        (Fraction(1, 6), Fraction(1, 3), "start"),
        (Fraction(1, 2), Fraction(1, 3), "stop"),
    ]


def test_no_rest_is_shorter_than_a_sixteenth_or_a_triplet():
    sung = notes((0, 0.1), (1.17, 1.3), (1.34, 1.5), (1.5, 1.6), (1.67, 1.8), (1.84, 2), (2, 3))
    placed = notate(sung, QUARTERS)
    rests = [end - start for start, end, keys in with_rests(placed, lay_bars(placed, 4)) if not keys]
    assert min(rests) >= Fraction(1, 4)
