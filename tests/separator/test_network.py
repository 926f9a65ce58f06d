"""The separator: its mask, its settings, and what ships."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_model.config import ConfigError
from hf_model.pretrained import WeightsError
from hf_model.separator.network import SEPARATOR_STFT, Separator, SeparatorConfig
from hf_model.weights import WEIGHTS

SMALL = SeparatorConfig(channels=(2, 4), n_bins=64)
SHIPPED = WEIGHTS / "separator"


@pytest.fixture
def small() -> Separator:
    torch.manual_seed(0)
    return Separator(SMALL).eval()


@torch.inference_mode()
def test_the_mask_is_the_ratio_of_powers(small, monkeypatch):
    monkeypatch.setattr(small.voice, "forward", lambda x: torch.full_like(x, 0.3))
    monkeypatch.setattr(small.accompaniment, "forward", lambda x: torch.full_like(x, 0.6))
    mask = small(torch.ones(1, 2, 64, 64))
    assert mask.numpy() == pytest.approx(0.2, abs=1e-6)  # .09 / (.09 + .36)


@torch.inference_mode()
def test_the_fast_mask_is_that_of_the_networks(small, monkeypatch):
    monkeypatch.setattr("hf_model.separator.network.fast_dtype", lambda: torch.float32)
    magnitude = torch.rand(2, 64, SEPARATOR_STFT.n_bins)
    mask = small.fused()(magnitude)
    assert mask.shape == magnitude.shape
    torch.testing.assert_close(mask[..., :64], small(magnitude[None, ..., :64])[0], atol=1e-5, rtol=0)
    above = mask[..., :64].mean(-1).square()
    torch.testing.assert_close(mask[..., 64:], above[..., None].expand(-1, -1, mask.shape[-1] - 64))


def test_saved_weights_are_those_that_load(small, tmp_path):
    small.save_pretrained(tmp_path)
    loaded = Separator.from_pretrained(tmp_path)
    for name, tensor in small.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_bins": 100}, "remainder of n_bins"),
        ({"channels": (4,)}, "number of channels"),
        ({"n_bins": 4096}, "n_bins"),
    ],
)
def test_impossible_shapes_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SeparatorConfig(**settings)


def test_nan_is_refused(small, tmp_path):
    with torch.no_grad():
        small.voice.mask.bias[0] = float("nan")
    with pytest.raises(WeightsError, match=r"voice\.mask\.bias"):
        small.save_pretrained(tmp_path)


def test_what_ships_is_small_and_states_its_licence():
    assert (SHIPPED / "model.safetensors").stat().st_size < 20_000_000
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    for words in ("pre-trained models", "have not answered", "10.21105/joss.02154", "The code", "internal data sets"):
        assert words.lower() in " ".join(card.lower().split()).replace("*", "")
    facts = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))
    assert "according to the authors' paper" in facts["licence"]


def test_what_ships_takes_a_band_away_and_is_as_long():
    """A chord on plucked strings beside nothing: most of it is accompaniment."""
    separator = Separator.from_pretrained(SHIPPED)
    rate, n_samples = SEPARATOR_STFT.sample_rate, 3 * SEPARATOR_STFT.sample_rate + 5
    seconds = np.arange(n_samples) / rate
    chord = sum(np.sin(2 * np.pi * hz * n * seconds) / n**1.5 for hz in (110, 220, 277.2, 329.6) for n in range(1, 8))
    beat = np.exp(-6.0 * (seconds % 0.5))
    audio = np.tile(0.1 * chord * beat, (2, 1)).astype(np.float32)
    voice = np.concatenate(list(separator.separate([audio])), axis=1)
    assert voice.shape == audio.shape
    assert np.mean(voice**2) < 0.05 * np.mean(audio**2)


@pytest.mark.data
def test_the_voice_of_a_real_song_is_found(mirror: Path):
    """On a song with its stems, twenty seconds: the signal-to-distortion ratio rises by more than 8 dB."""
    import soundfile

    folder = mirror / "everythingisfree" / "lithium"
    lead, backing = (
        soundfile.read(folder / f"{name}.ogg", 20 * 44100, 20 * 44100, dtype="float32", always_2d=True)[0].T
        for name in ("lead", "backing")
    )
    voice = np.concatenate(list(Separator.from_pretrained(SHIPPED).separate([lead + backing])), axis=1)
    assert sdr(lead, voice) - sdr(lead, lead + backing) > 8.0


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    scaled = reference * np.sum(reference * estimate) / np.sum(reference**2)
    return float(10.0 * np.log10(np.sum(scaled**2) / np.sum((estimate - scaled) ** 2)))
