"""From sung notes to piano notes."""

from __future__ import annotations

import pytest

from hf_model.arrangement import Arrangement, arrange
from hf_model.config import ConfigError
from hf_model.notes import Note, to_keys

SUNG = [Note(0.5, 0.98, 60.2, 70), Note(1.0, 1.48, 62.3, 80), Note(1.5, 1.98, 64.1, 90, 0.4), Note(2.0, 2.03, 65.2, 60)]


def test_by_default_the_performance_is_played_as_it_was():
    arranged = arrange(SUNG, 3.0)
    assert arranged.notes == SUNG[:3], "0.03 s is too short for a note"
    assert arranged.piano_notes == to_keys(SUNG[:3], arranged.tuning)
    assert arranged.accompaniment == []


def test_notes_are_left_out_by_confidence_and_transposed():
    arranged = arrange(SUNG, 3.0, Arrangement(min_confidence=0.5, transpose=-12), tuning=0.2)
    assert [note.pitch for note in arranged.piano_notes] == [48, 50]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"simplify": 4}, "simplify is 4, allowed is 0 to 3"),
        ({"quantize": "1/7"}, "quantize is '1/7'"),
        ({"strength": 1.5}, "strength is 1.5"),
        ({"swing": "maybe"}, "swing is 'maybe'"),
        ({"key": "H minor"}, "key is 'H minor'"),
        ({"tempo": 5.0}, "tempo is 5.0, allowed is 30.0 to 300.0"),
        ({"meter": "7/8"}, "meter is '7/8'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(setting, words):
    with pytest.raises(ConfigError, match=words):
        Arrangement(**setting)
