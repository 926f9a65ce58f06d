"""The direct baseline: frequency axis, training, rendering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hf_model.audio.grid import PIANO_STFT, VOICE_STFT
from hf_model.audio.griffin_lim import griffin_lim
from hf_model.audio.stft import stft
from hf_model.config import ConfigError
from hf_model.direct.network import Direct, DirectConfig, band_hz, band_matrix, bin_matrix
from hf_model.training.losses import ReverseGradient, direct_loss

SMALL = DirectConfig(channels=4, depth=2, phase_iterations=2)


def tone(hz: float, sample_rate: int, seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * sample_rate)) / sample_rate)).astype(np.float32)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    voice = stft(torch.from_numpy(tone(440, 16000, 0.6)), VOICE_STFT)[None]
    piano = stft(torch.from_numpy(tone(440, 44100, 0.6)), PIANO_STFT)[None]
    return {"voice_stft": voice, "piano_stft": piano, "n_frames": torch.tensor([voice.shape[1]])}


def test_magnitudes_are_on_the_grid_of_the_piano(batch: dict[str, torch.Tensor]) -> None:
    estimate = Direct(SMALL)(batch["voice_stft"])
    assert estimate.shape == batch["piano_stft"].shape
    assert (estimate > 0).all()


def test_bins_to_bands_and_back() -> None:
    magnitude = stft(torch.from_numpy(tone(880, 16000, 0.5)), VOICE_STFT).abs()[25]
    band = int((magnitude @ band_matrix(VOICE_STFT)).argmax())
    assert abs(1200 * np.log2(band_hz()[band] / 880)) < 35
    one_hot = torch.zeros(len(band_hz()))
    one_hot[band] = 1
    assert int((one_hot @ bin_matrix(PIANO_STFT)).argmax()) == round(880 / 44100 * 2048)


@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_training_reduces_the_loss(batch: dict[str, torch.Tensor], adversarial: float) -> None:
    torch.manual_seed(0)
    model = Direct(DirectConfig(channels=4, depth=2, adversarial=adversarial))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        parts = direct_loss(model, batch)
        optimizer.zero_grad()
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(parts["log_magnitude"].detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert ("adversarial" in parts) == (adversarial > 0)


def test_the_gradient_is_reversed() -> None:
    value = torch.tensor(2.0, requires_grad=True)
    (3.0 * ReverseGradient.apply(value, 0.5)).backward()  # type: ignore[no-untyped-call]
    assert value.grad == -1.5


@pytest.mark.parametrize("n_samples", [1, 441, 44100, 60000])
def test_the_length_is_exact(n_samples: int) -> None:
    audio = Direct(SMALL).eval().render(tone(300, 16000, n_samples / 44100 + 0.01), n_samples)
    assert audio.shape == (1, n_samples)
    assert np.isfinite(audio).all()


def test_long_recordings_are_rendered_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.direct.network.CHUNK_FRAMES", 60)
    monkeypatch.setattr("hf_model.direct.network.CONTEXT_FRAMES", 10)
    torch.manual_seed(0)
    audio = Direct(SMALL).eval().render(tone(300, 16000, 2.0), 88200)
    assert audio.shape == (1, 88200)
    level = np.array([np.abs(audio[0, at : at + 2000]).max() for at in range(4000, 80000, 2000)])
    assert np.median(level) > 0
    assert (level > 0.5 * np.median(level)).mean() > 0.7  # phases of two chunks may cancel where they overlap
    assert level.max() < 2 * np.median(level)


def test_griffin_lim_finds_a_consistent_phase() -> None:
    spectrum = stft(torch.from_numpy(tone(440, 44100, 0.5)), PIANO_STFT)
    rebuilt = stft(griffin_lim(spectrum.abs(), 30), PIANO_STFT).abs()
    assert torch.linalg.norm(rebuilt - spectrum.abs()[: len(rebuilt)]) < 0.3 * torch.linalg.norm(spectrum)


def test_a_saved_model_is_loaded(tmp_path: Path, batch: dict[str, torch.Tensor]) -> None:
    model = Direct(SMALL).eval()
    model.save_pretrained(tmp_path)
    again = Direct.from_pretrained(tmp_path)
    torch.testing.assert_close(again(batch["voice_stft"]), model(batch["voice_stft"]))


def test_settings_out_of_range_are_rejected() -> None:
    with pytest.raises(ConfigError, match="depth is 9, allowed is 1 to 4"):
        DirectConfig(depth=9)
