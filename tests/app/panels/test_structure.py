"""What comes again, for the page: the picture's matrix and the phrases."""

import json

import numpy as np
import pytest

from hf_model.app.limits import PageError
from hf_model.app.panels.structure import LEVELS, MAX_MOMENTS, find_structure
from hf_model.app.sessions import Session
from hf_model.audio.recording import Recording
from tests.app.panels.conftest import arranged

PHRASE = (60, 62, 64, 67, 65, 64, 62, 60)
OTHER = (72, 60, 72, 61, 73, 60, 71, 59)


def give(session: Session, *keys: int) -> None:
    session.arranged = arranged(*keys)
    n_samples = round(16000 * 0.5 * len(keys))
    session.part = Recording(np.zeros(n_samples, dtype=np.float32), n_samples, 16000, ())


def test_a_phrase_that_comes_again_is_light_and_named(session: Session) -> None:
    give(session, *PHRASE, *OTHER, *PHRASE)
    found = json.loads(json.dumps(find_structure(session)))
    rows = found["rows"]
    assert {len(row) for row in rows} == {len(rows)}

    def level(a: float, b: float) -> int:
        return int(LEVELS.index(rows[int(a / found["step"])][int(b / found["step"])]))

    assert level(2.0, 2.0) == 0
    assert level(1.9, 9.9) <= 6 < 30 < level(1.9, 5.9), "the same eight seconds later, and something else between"
    assert level(2.0, 6.0) == level(6.0, 2.0)
    first, second = found["phrases"][0]
    assert (first[0], second[0]) == (0.0, 8.0)


def test_long_recordings_have_no_larger_picture(session: Session) -> None:
    give(session, *(PHRASE * 40))
    found = find_structure(session)
    assert len(found["rows"]) == MAX_MOMENTS
    assert found["step"] * MAX_MOMENTS == pytest.approx(160.0)


def test_silence_is_marked_and_nothing_is_refused(session: Session) -> None:
    give(session, 60, 62, 64, 65)
    session.part = Recording(np.zeros(16000 * 10, dtype=np.float32), 160000, 16000, ())
    rows = find_structure(session)["rows"]
    assert set(rows[-1]) == {"-"}
    assert rows[0][-1] == "-"
    session.arranged = None
    with pytest.raises(PageError, match="no longer on the server"):
        find_structure(session)
