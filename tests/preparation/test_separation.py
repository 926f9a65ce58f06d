import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.audio.recording import as_recording
from hf_model.band.listener import Band
from hf_model.config import ConfigError
from hf_model.preparation.separation import separate
from hf_model.separator.choice import SeparatorLike
from hf_model.separator.source import Source
from tests.fakes import LeftSeparator, tones

SONG = as_recording(np.stack([tones([60, 64], 44100), tones([40, 43], 44100)]), 44100)


def no_separator() -> SeparatorLike:
    raise AssertionError("a voice alone needs no separator")


def test_a_voice_alone_is_the_recording_itself() -> None:
    separated = separate(SONG, no_separator, "voice")
    assert separated.voice is SONG
    assert (separated.source, separated.song, separated.band) == (Source("voice", 1.0), None, Band())
    assert separated.stems == {}
    separated.close()


def test_the_decision_is_made_on_the_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[NDArray[np.float32]] = []

    def detect(voice: NDArray[np.float32], _: object) -> Source:
        asked.append(voice)
        return Source("voice", 0.7)

    monkeypatch.setattr("hf_model.preparation.separation.detect_source", detect)
    assert separate(SONG, no_separator).source.confidence == 0.7
    assert asked[0] is SONG.voice


def test_a_song_is_taken_apart_and_its_band_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[NDArray[np.float32]] = []

    class Listener:
        def __init__(self, sample_rate: int) -> None:
            assert sample_rate == 44100

        def push(self, block: NDArray[np.float32]) -> None:
            played.append(block)

        def finish(self) -> Band:
            return Band(chords=())

    monkeypatch.setattr("hf_model.preparation.separation.BandListener", Listener)
    separated = separate(SONG, LeftSeparator, "song", keep={"backing"})
    assert separated.source == Source("song", 1.0)
    np.testing.assert_allclose(np.concatenate(played, axis=1)[1], tones([40, 43], 44100), atol=1e-6)
    assert set(separated.stems) == {"backing"}
    separated.close()
    with pytest.raises(ValueError, match="closed file"):
        list(separated.stems["backing"].blocks())


def test_other_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="source is 'choir'"):
        separate(SONG, no_separator, "choir")
