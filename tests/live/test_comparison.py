"""Provisional notes beside final ones, by hand."""

from __future__ import annotations

from hf_model.live.comparison import compare
from hf_model.notes.note import Note


def test_each_note_has_one_partner_the_nearest() -> None:
    final = [Note(1.0, 1.5, 60.0), Note(1.12, 2.0, 62.0), Note(3.0, 3.5, 64.0), Note(5.0, 5.5, 65.0)]
    provisional = {
        0: Note(0.95, 1.4, 60.1),  # the first
        1: Note(1.1, 2.0, 63.0),  # the second, at another pitch
        2: Note(2.5, 2.8, 64.0),  # none
        3: Note(3.04, 3.2, 64.0),  # farther from the third than
        4: Note(3.01, 3.2, 64.4),  # this one
    }
    found = compare(provisional, final)
    assert found.confirmed == [(4, 2), (0, 0)]
    assert found.corrected == [(1, 1)]
    assert found.withdrawn == [2, 3]
    assert found.unannounced == [3]
    assert found.pairs == [(0, 0), (1, 1), (4, 2)]


def test_nothing_sung() -> None:
    found = compare({}, [])
    assert (found.pairs, found.withdrawn, found.unannounced) == ([], [], [])
