"""The pedal, on melodies small enough to pedal by eye."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.notes.pedal import LIFT_AFTER, LONGEST_HOLD, PHRASE_RING, PRESS_AFTER, Pedal, gentle_pedals, sustained


def line(keys: list[int], duration: float = 0.5, gap: float = 0.0, start: float = 0.0) -> list[Note]:
    """Notes one after the other."""
    step = duration + gap
    return [Note(start + step * i, start + step * i + duration, key) for i, key in enumerate(keys)]


def test_a_broken_chord_is_held_and_changed_with_the_harmony() -> None:
    # C E G over one pedal, then F A C over another
    pedals = gentle_pedals(line([60, 64, 67, 65, 69, 72]))
    assert [pedal.down for pedal in pedals] == pytest.approx([PRESS_AFTER, 1.5 + PRESS_AFTER])
    assert [pedal.up for pedal in pedals] == pytest.approx([1.5 + LIFT_AFTER, 3.0 + PHRASE_RING])


def test_steps_are_never_blurred() -> None:
    scale = line([60, 62, 64, 65, 67])
    heard = sustained(scale, gentle_pedals(scale))
    for before, after in itertools.pairwise(heard):
        assert before.offset - after.onset <= LIFT_AFTER + 1e-9


def test_detached_notes_stay_detached() -> None:
    staccato = line([60, 64, 67, 72], duration=0.2, gap=0.3)
    assert gentle_pedals(staccato) == []


def test_the_pedal_is_lifted_between_phrases() -> None:
    phrases = [*line([60, 64, 67]), *line([65, 69, 72], start=3.0)]
    first, second = gentle_pedals(phrases)
    assert first.up == pytest.approx(1.5 + PHRASE_RING)
    assert second.down > 3.0


def test_a_short_rest_is_half_kept() -> None:
    phrases = [*line([60, 64, 67]), *line([60, 64], start=1.9)]
    assert gentle_pedals(phrases)[0].up == pytest.approx(1.7)


def test_a_long_chord_is_renewed() -> None:
    pedals = gentle_pedals(line([60, 64, 67, 72, 76, 79, 84, 88]))
    assert len(pedals) > 1
    assert all(pedal.up - pedal.down <= LONGEST_HOLD + LIFT_AFTER + PHRASE_RING for pedal in pedals)


def test_a_note_rings_while_the_pedal_is_down_and_no_longer() -> None:
    notes = [Note(0.0, 1.0, 60), Note(0.0, 2.5, 64), Note(3.0, 4.0, 67)]
    heard = sustained(notes, [Pedal(0.5, 2.0)])
    assert [note.offset for note in heard] == [2.0, 2.5, 4.0]


def test_a_note_that_ends_before_the_pedal_goes_down_is_not_held() -> None:
    assert sustained([Note(0.0, 0.5, 60)], [Pedal(0.6, 2.0)])[0].offset == 0.5


def test_a_pedal_that_never_goes_down_is_refused() -> None:
    with pytest.raises(ConfigError, match="up - down"):
        Pedal(1.0, 1.0)


note_lists = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0.05, 2), st.integers(40, 90)).map(
        lambda item: Note(item[0], item[0] + item[1], item[2])
    ),
    max_size=12,
)


@given(note_lists)
def test_pedals_never_overlap_and_never_shorten_a_note(notes: list[Note]) -> None:
    pedals = gentle_pedals(notes)
    for before, after in itertools.pairwise(pedals):
        assert before.up < after.down
    for note, held in zip(notes, sustained(notes, pedals), strict=True):
        assert held.offset >= note.offset
        assert (held.onset, held.pitch, held.velocity) == (note.onset, note.pitch, note.velocity)
