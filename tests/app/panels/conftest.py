"""A recording whose notes were rendered, without a server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hf_model.app.limits import Limits
from hf_model.app.sessions import Session, Sessions
from hf_model.audio.recording import Recording
from hf_model.music.arrangement import Arranged, Arrangement, arrange
from hf_model.notes.note import Note


def arranged(*keys: int) -> Arranged:
    notes = [Note(0.5 * number, 0.5 * number + 0.4, float(key)) for number, key in enumerate(keys)]
    return arrange(notes, 0.5 * len(keys), Arrangement(tempo=120.0, meter="4/4"))


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    made = Sessions(Limits(), tmp_path)
    yield made
    made.close()


@pytest.fixture
def session(sessions: Sessions) -> Session:
    made = sessions.open()
    made.title, made.version, made.arranged = "my tune.m4a", 1, arranged(60, 62, 64, 65, 67)
    made.part = Recording(np.zeros(16000 * 5, dtype=np.float32), 16000 * 5, 16000, ())
    return made
