"""The command that registers recordings of the user."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import yaml

from hf_model.config import ConfigError
from hf_model.corpora import own
from hf_model.corpora.catalogue import CORPORA, load_registry
from hf_model.corpora.records import CorpusError
from stages import corpus


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository, and a folder with a tone of 220 Hz and its label; the registry is restored afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    before = dict(CORPORA)
    folder = tmp_path / "songs"
    folder.mkdir()
    seconds = np.arange(3 * 16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 220 * k * seconds) / k for k in range(1, 6)) * ((seconds > 0.5) & (seconds < 2.5))
    soundfile.write(folder / "one.wav", 0.2 * tone, 16_000)
    (folder / "one.csv").write_text("onset,offset,note\n0.5,2.5,A3\n", encoding="utf-8")
    yield folder
    CORPORA.clear()
    CORPORA.update(before)


def test_a_folder_becomes_a_corpus(place, capsys):
    corpus.main(["add", str(place), "--labels", "csv"])
    entry = load_registry(own.REGISTRY)["mine"]
    assert (entry.folder, entry.labels, entry.licence) == (str(place), "csv", "own")
    printed = capsys.readouterr().out
    assert "mine: 2 files" in printed
    assert "1 notes" in printed
    corpus.main(["audit"])
    assert capsys.readouterr().out == "1 recording, 1 note: nothing found\n"


def test_adding_again_replaces_the_entry_and_keeps_others(place):
    corpus.main(["add", str(place), "--labels", "csv", "--name", "other"])
    corpus.main(["add", str(place), "--labels", "csv"])
    digest = load_registry(own.REGISTRY)["mine"].digest
    (place / "one.csv").write_text("onset,offset,note\n0.5,2.5,A4\n", encoding="utf-8")
    corpus.main(["add", str(place), "--labels", "csv"])
    registry = load_registry(own.REGISTRY)
    assert sorted(registry) == ["mine", "other"]
    assert registry["mine"].digest != digest


def test_errors_are_found_when_it_is_added(place):
    with pytest.raises(ConfigError, match="small letters"):
        corpus.main(["add", str(place), "--name", "My Songs"])
    with pytest.raises(ConfigError, match="a corpus of registry"):
        corpus.main(["add", str(place), "--name", "ssvd"])
    (place / "one.csv").write_text("nothing", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"one\.csv"):
        corpus.main(["add", str(place), "--labels", "csv"])
    assert not own.REGISTRY.exists()


def test_profile_uses_the_corpus(root):
    profile = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["profiles"]["mine"]
    assert "mine" in profile["download"]["corpora"]
    assert profile["train"]["transcriber"]["start_share"] > 0, "other voices are not forgotten"
