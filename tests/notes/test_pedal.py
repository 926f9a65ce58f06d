"""The sustain pedal, on melodies small enough to check by hand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.notes.pedal import LIFT_AFTER, MAX_HOLD, PHRASE_RING, PRESS_AFTER, Pedal, apply_pedals, place_pedals


def line(keys: list[int], duration: float = 0.5, gap: float = 0.0, start: float = 0.0) -> list[Note]:
    """Notes of equal duration, with equal gaps."""
    step = duration + gap
    return [Note(start + step * i, start + step * i + duration, key) for i, key in enumerate(keys)]


def test_pedal_changes_with_the_harmony() -> None:
    # C E G with one pedal, F A C with another
    pedals = place_pedals(line([60, 64, 67, 65, 69, 72]))
    assert [pedal.down for pedal in pedals] == pytest.approx([PRESS_AFTER, 1.5 + PRESS_AFTER])
    assert [pedal.up for pedal in pedals] == pytest.approx([1.5 + LIFT_AFTER, 3.0 + PHRASE_RING])


def test_steps_do_not_overlap() -> None:
    scale = line([60, 62, 64, 65, 67])
    prolonged = apply_pedals(scale, place_pedals(scale))
    for previous, following in itertools.pairwise(prolonged):
        assert previous.offset - following.onset <= LIFT_AFTER + 1e-9


def test_detached_notes_get_no_pedal() -> None:
    staccato = line([60, 64, 67, 72], duration=0.2, gap=0.3)
    assert place_pedals(staccato) == []


def test_pedal_is_up_between_phrases() -> None:
    phrases = [*line([60, 64, 67]), *line([65, 69, 72], start=3.0)]
    first, second = place_pedals(phrases)
    assert first.up == pytest.approx(1.5 + PHRASE_RING)
    assert second.down > 3.0


def test_pedal_ends_half_way_into_a_short_rest() -> None:
    phrases = [*line([60, 64, 67]), *line([60, 64], start=1.9)]
    assert place_pedals(phrases)[0].up == pytest.approx(1.7)


def test_pedal_is_renewed_in_a_long_chord() -> None:
    pedals = place_pedals(line([60, 64, 67, 72, 76, 79, 84, 88]))
    assert len(pedals) > 1
    assert all(pedal.up - pedal.down <= MAX_HOLD + LIFT_AFTER + PHRASE_RING for pedal in pedals)


def test_notes_are_prolonged_until_the_pedal_is_up() -> None:
    notes = [Note(0.0, 1.0, 60), Note(0.0, 2.5, 64), Note(3.0, 4.0, 67)]
    prolonged = apply_pedals(notes, [Pedal(0.5, 2.0)])
    assert [note.offset for note in prolonged] == [2.0, 2.5, 4.0]


def test_note_before_pedal_down_is_not_prolonged() -> None:
    assert apply_pedals([Note(0.0, 0.5, 60)], [Pedal(0.6, 2.0)])[0].offset == 0.5


def test_empty_pedal_span_is_refused() -> None:
    with pytest.raises(ConfigError, match="up - down"):
        Pedal(1.0, 1.0)


note_lists = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0.05, 2), st.integers(40, 90)).map(
        lambda item: Note(item[0], item[0] + item[1], item[2])
    ),
    max_size=12,
)


@given(note_lists)
def test_pedals_never_overlap_or_shorten_a_note(notes: list[Note]) -> None:
    pedals = place_pedals(notes)
    for previous, following in itertools.pairwise(pedals):
        assert previous.up < following.down
    for note, held in zip(notes, apply_pedals(notes, pedals), strict=True):
        assert held.offset >= note.offset
        assert (held.onset, held.pitch, held.velocity) == (note.onset, note.pitch, note.velocity)
