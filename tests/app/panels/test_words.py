"""Words sung on the melody of the page: as long as the recording, a syllable for each note."""

import builtins
from typing import Any

import pytest
import soundfile

from hf_model.app.jobs import SUNG
from hf_model.app.limits import PageError
from hf_model.app.panels.words import sing
from hf_model.app.sessions import Session


def quietly(_share: float, _step: str) -> None:
    """No progress is shown."""


def test_words_are_sung_as_long_as_the_recording(session: Session) -> None:
    found = sing(session, "ba-na-na split", "alto", "pt", quietly)
    assert found["words"][:4] == ["ba-", "na-", "na", "split"]
    audio, rate = soundfile.read(session.folder / SUNG)
    assert (len(audio), rate) == (5 * 44100, 44100)
    assert abs(audio).max() > 0.3
    assert session.words == found["words"]


def test_what_cannot_be_sung_is_said(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PageError, match="no words"):
        sing(session, "!?", "alto", "en", quietly)
    imported = builtins.__import__

    def without_scipy(name: str, *more: Any, **named: Any) -> Any:
        if name == "hf_model.lyrics.singing":
            raise ModuleNotFoundError(name="scipy")
        return imported(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(PageError, match=r"needs scipy, which is not installed .* pip install 'hummingface\[lyrics\]'"):
        sing(session, "la", "alto", "en", quietly)
    assert not (session.folder / SUNG).exists()


def test_a_melody_that_changed_meanwhile_is_not_sung(session: Session) -> None:
    def change(share: float, _step: str) -> None:
        session.version += share > 0.5

    with pytest.raises(PageError, match="have changed meanwhile"):
        sing(session, "la", "alto", "pt", change)
    assert session.words == []
    session.arranged = None
    with pytest.raises(PageError, match="no longer on the server"):
        sing(session, "la", "alto", "pt", quietly)
