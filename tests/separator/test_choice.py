"""The choice of a separator, with a stand-in for the package demucs."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from hf_model.config import ConfigError
from hf_model.separator.choice import ACCEPT, load_separator
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.network import SeparatorNetwork
from hf_model.separator.separator import Separator

AUDIO = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
BLOCKS = [AUDIO[:, :300], AUDIO[:, 300:]]


@pytest.fixture
def fake_demucs(monkeypatch) -> SimpleNamespace:
    """A package whose voice is half of the normalised mix."""
    model = SimpleNamespace(samplerate=44100, sources=["drums", "vocals"], eval=lambda: None)
    package, pretrained, apply = (ModuleType(name) for name in ("demucs", "demucs.pretrained", "demucs.apply"))
    pretrained.get_model = lambda _: model
    apply.apply_model = lambda _, mix, **__: torch.stack([mix * 0.0, mix * 0.5], dim=1)
    for module in (package, pretrained, apply):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "hf_model.separator.demucs", raising=False)
    monkeypatch.delenv(ACCEPT, raising=False)
    return model


def test_none_leaves_a_recording_as_it_is():
    assert np.array_equal(np.concatenate(list(load_separator("none").separate(BLOCKS)), axis=1), AUDIO)


def test_the_default_is_what_ships():
    separator = load_separator()
    assert isinstance(separator, Separator)
    assert "deezer/spleeter" in separator.facts["source"]


def test_a_folder_is_loaded(tmp_path):
    SeparatorNetwork(SeparatorConfig(channels=(2, 4), n_bins=64)).save_pretrained(tmp_path)
    separator = load_separator(tmp_path)
    assert isinstance(separator, Separator)
    assert separator.config.n_bins == 64


def test_a_missing_folder_is_named():
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        load_separator("no-such-folder")


@pytest.mark.usefixtures("fake_demucs")
def test_demucs_needs_an_acceptance(monkeypatch):
    with pytest.raises(ConfigError, match="scientific use") as caught:
        load_separator("demucs")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv(ACCEPT, "other,demucs")
    load_separator("demucs")


def test_demucs_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs", None)
    monkeypatch.delitem(sys.modules, "hf_model.separator.demucs", raising=False)
    with pytest.raises(ConfigError, match="pip install demucs"):
        load_separator("demucs", accept_license=True)


@pytest.mark.usefixtures("fake_demucs")
def test_demucs_separates_the_voice():
    voice = np.concatenate(list(load_separator("demucs", accept_license=True).separate(BLOCKS)), axis=1)
    mean = AUDIO.mean()
    np.testing.assert_allclose(voice, (AUDIO - mean) / 2 + mean, atol=1e-5)


@pytest.mark.usefixtures("fake_demucs")
@pytest.mark.parametrize("blocks", [[], [np.zeros((2, 100), np.float32)]])
def test_demucs_leaves_silence(blocks):
    separated = list(load_separator("demucs", accept_license=True).separate(blocks))
    assert sum(block.shape[1] for block in separated) == sum(block.shape[1] for block in blocks)
    assert not any(block.any() for block in separated)


def test_another_kind_of_demucs_is_refused(fake_demucs):
    fake_demucs.sources = ["noise"]
    with pytest.raises(ConfigError, match="noise"):
        load_separator("demucs", accept_license=True)
