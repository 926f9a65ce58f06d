"""Notes that the page sends."""

from __future__ import annotations

import pytest

from hf_model.app.limits import Limits, PageError
from hf_model.app.page_json import count_voices, read_notes
from hf_model.notes.note import Note

NOTE = [0.5, 1.0, 60.0, 80, 0.9]


def test_notes_are_cut_off_at_the_end() -> None:
    (note,) = read_notes([NOTE, [3.0, 4.0, 60.0, 80, 0.9]], 0.8, Limits())
    assert (note.onset, note.offset) == (0.5, 0.8)


@pytest.mark.parametrize("onset", [-1e-9, -1.0, -1e12, float("nan"), float("-inf"), "x", None])
def test_impossible_onsets_are_refused(onset: object) -> None:
    """A score has bars from the first note on: one before the recording stopped the page for good."""
    with pytest.raises(PageError, match="Note 2 is not valid"):
        read_notes([NOTE, [onset, 1.0, 60.0, 80, 0.9]], 10.0, Limits())


@pytest.mark.parametrize(
    ("spans", "voices"),
    [([], 0), ([(0, 1), (1, 2), (2, 3)], 1), ([(0, 3), (1, 2), (2, 3)], 2), ([(0, 9), (1, 8), (2, 7)], 3)],
)
def test_voices_are_counted(spans: list[tuple[int, int]], voices: int) -> None:
    assert count_voices([Note(onset, offset, 60.0) for onset, offset in spans]) == voices


def test_more_voices_than_a_melody_has_are_refused() -> None:
    """The piano of 3,000 notes that all go on to the end took minutes, and all visitors waited."""
    rows = [[0.09 * number, 300.0, 60.0, 80, 0.9] for number in range(3000)]
    with pytest.raises(PageError, match="At most 4 notes can sound at once, here 3000 do"):
        read_notes(rows, 300.0, Limits())
    assert len(read_notes(rows[:4], 300.0, Limits())) == 4
