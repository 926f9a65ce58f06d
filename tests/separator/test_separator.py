"""The separator without torch: its mask, damaged folders, and what ships."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_model.config import ConfigError
from hf_model.separator.config import SEPARATOR_STFT, SeparatorConfig
from hf_model.separator.network import SeparatorNetwork
from hf_model.separator.separator import Separator
from hf_model.weights import WEIGHTS, WeightsError

SMALL = SeparatorConfig(channels=(2, 4), n_bins=64)
SHIPPED = WEIGHTS / "separator"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("separator")
    SeparatorNetwork(SMALL).save_pretrained(folder)
    return folder


def test_the_mask_is_that_of_the_rounded_network(folder):
    """Below the networks' limit; above it, the square of its mean just below continues."""
    magnitude = np.random.default_rng(0).random((2, 128, SEPARATOR_STFT.n_bins), dtype=np.float32)
    mask = Separator.from_pretrained(folder).mask(magnitude)
    with torch.inference_mode():
        expected = SeparatorNetwork.from_pretrained(folder).rounded()(torch.from_numpy(magnitude)[None, ..., :64])[0]
    assert mask.shape == magnitude.shape
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask[..., :64], expected.numpy(), atol=1e-5)
    above = np.square(mask[..., :64].mean(axis=-1, keepdims=True))
    np.testing.assert_allclose(mask[..., 64:], np.broadcast_to(above, mask[..., 64:].shape), atol=1e-6)


def test_a_copy_separates_alike(folder, tmp_path):
    audio = np.random.default_rng(1).standard_normal((2, 5000)).astype(np.float32)
    first = Separator.from_pretrained(folder)
    first.save_pretrained(tmp_path)
    voices = [
        np.concatenate(list(one.separate([audio])), axis=1) for one in (first, Separator.from_pretrained(tmp_path))
    ]
    assert voices[0].shape == audio.shape
    assert np.array_equal(*voices)


def test_a_damaged_graph_is_refused(folder, tmp_path):
    Separator.from_pretrained(folder).save_pretrained(tmp_path)
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.onnx is damaged"):
        Separator.from_pretrained(tmp_path)


def test_another_kind_of_model_is_refused():
    with pytest.raises(ConfigError, match="expected 'separator'"):
        Separator.from_pretrained(WEIGHTS / "synthesizer")


def test_a_song_is_separated_without_torch():
    code = (
        "import sys, numpy as np\n"
        "from hf_model.separator.choice import load_separator\n"
        "next(load_separator().separate([np.ones((2, 500), np.float32)]))\n"
        "print([name for name in ('torch', 'scipy', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_ships_is_small_and_states_its_licence():
    assert not (SHIPPED / "model.safetensors").exists()
    assert (SHIPPED / "model.onnx").stat().st_size < 20_000_000
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
