"""Power spectra in NumPy: amplitudes of tones, the grid, and the same numbers as in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.audio.grid import StftConfig
from hf_model.audio.stft import stft
from hf_model.transcriber.spectra import LONG_WINDOW, SHORT_WINDOW, power_spectra

WINDOWS = pytest.mark.parametrize("config", [LONG_WINDOW, SHORT_WINDOW], ids=["long", "short"])


@WINDOWS
def test_power_of_a_tone(config: StftConfig) -> None:
    """A sine on bin 20 with amplitude 0.5: the Hann window's sum is half its length, a sine has half of it in a bin."""
    hz = 20 * 16000 / config.n_fft
    tone = (0.5 * np.sin(2 * np.pi * hz * np.arange(16000) / 16000)).astype(np.float32)
    frame = power_spectra(tone, config)[50]
    assert int(frame.argmax()) == 20
    assert frame[20] == pytest.approx((0.5 * config.n_fft / 4) ** 2, rel=1e-3)
    assert frame[25:].max() < 1e-6 * frame[20]


@WINDOWS
@pytest.mark.parametrize("n_samples", [1, 159, 160, 161, 8000, 40001])
def test_spectra_are_those_of_training(config: StftConfig, n_samples: int) -> None:
    voice = (0.1 * np.random.default_rng(n_samples).standard_normal(n_samples)).astype(np.float32)
    found = power_spectra(voice, config)
    assert found.shape == (1 + n_samples // 160, config.n_bins)
    assert found.dtype == np.float32
    expected = stft(torch.from_numpy(voice)[None], config)[0].abs().square().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * float(expected.max()))


def test_frames_do_not_depend_on_their_block() -> None:
    """A part that begins on the grid has the frames of the whole, but for the window's half at its ends."""
    voice = np.random.default_rng(0).standard_normal(160 * 300).astype(np.float32)
    whole, part = power_spectra(voice, LONG_WINDOW), power_spectra(voice[160 * 50 :], LONG_WINDOW)
    assert np.array_equal(part[7:], whole[57:])
