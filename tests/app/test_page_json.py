"""Notes that the page sends."""

from __future__ import annotations

import pytest

from hf_model.app.limits import Limits, PageError
from hf_model.app.page_json import read_notes

NOTE = [0.5, 1.0, 60.0, 80, 0.9]


def test_notes_are_cut_off_at_the_end() -> None:
    (note,) = read_notes([NOTE, [3.0, 4.0, 60.0, 80, 0.9]], 0.8, Limits())
    assert (note.onset, note.offset) == (0.5, 0.8)


@pytest.mark.parametrize("onset", [-1e-9, -1.0, -1e12, float("nan"), float("-inf"), "x", None])
def test_impossible_onsets_are_refused(onset: object) -> None:
    """A score has bars from the first note on: one before the recording stopped the page for good."""
    with pytest.raises(PageError, match="Note 2 is not valid"):
        read_notes([NOTE, [onset, 1.0, 60.0, 80, 0.9]], 10.0, Limits())
