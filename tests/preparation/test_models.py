from pathlib import Path

import pytest

from hf_model.preparation.models import SONG_TRANSCRIBERS, Models
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.weights import WEIGHTS
from tests.fakes import LeftSeparator, ToneTranscriber, tone_models

TINY = TranscriberConfig(channels=4, width=8)


def test_models_are_cached() -> None:
    models = Models(transcriber=ToneTranscriber())
    assert models.renderer("sampled") is models.renderer("sampled")
    assert models.song_transcriber is models.transcriber


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model in .*transcriber: there is no such folder"):
        _ = Models(tmp_path).transcriber


def test_songs_have_their_own_transcriber() -> None:
    models = Models()
    assert models.song_transcriber is models.song_transcriber
    assert models.song_transcriber is not models.transcriber
    assert any((WEIGHTS / name / "config.json").is_file() for name in SONG_TRANSCRIBERS)


@pytest.mark.parametrize("folder", [".", "transcriber"])
def test_a_transcriber_of_a_user_is_used_for_songs_too(tmp_path: Path, folder: str) -> None:
    TranscriberNetwork(TINY).save_pretrained(tmp_path / folder)
    models = Models(tmp_path)
    assert models.transcriber.config.channels == 4
    assert models.song_transcriber is models.transcriber


def test_a_folder_may_have_a_transcriber_for_songs(tmp_path: Path) -> None:
    TranscriberNetwork(TINY).save_pretrained(tmp_path / "transcriber")
    TranscriberNetwork(TranscriberConfig(channels=6, width=8)).save_pretrained(tmp_path / "transcriber_songs")
    models = Models(tmp_path)
    assert (models.transcriber.config.channels, models.song_transcriber.config.channels) == (4, 6)


def test_another_separator_shares_what_is_loaded() -> None:
    models, other = tone_models(), LeftSeparator()
    changed = models.with_separator(other)
    assert changed.separator is other
    assert models.separator is not other
    assert changed.transcriber is models.transcriber
    assert changed.renderer("neural") is models.renderer("neural")


def test_separators_are_loaded_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> LeftSeparator:
        loaded.append(str(name))
        return LeftSeparator()

    monkeypatch.setattr("hf_model.separator.choice.load_separator", load)
    models = Models().with_separator("none")
    assert models.separator is models.separator
    assert loaded == ["none"]
