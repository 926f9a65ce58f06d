"""Input features of the transcriber in training: harmonics, timbre, and the level of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.transcriber.features import HARMONICS, N_MEL, VoiceFeatures, set_level

FEATURES = VoiceFeatures(lowest_hz=40.0, pitch_bands=124, bands_per_octave=24)


def tone(hz: float, seconds: float = 0.5, amplitude: float = 0.3) -> torch.Tensor:
    """One sine at 16 kHz, (1, sample)."""
    return (amplitude * torch.sin(2 * torch.pi * hz * torch.arange(round(16000 * seconds)) / 16000))[None]


def band_of(hz: float) -> int:
    return round(24 * float(np.log2(hz / 40.0)))


@pytest.mark.parametrize("number", range(len(HARMONICS)))
def test_harmonics_are_aligned_with_the_fundamental(number):
    f0 = 40.0 * 2 ** (70 / 24)  # the centre of band 70: 302 Hz
    harmonics, _ = FEATURES(tone(f0 * HARMONICS[number]))
    assert harmonics.shape == (1, len(HARMONICS), 51, 124)
    assert int(harmonics[0, number, 25].argmax()) == 70
    assert FEATURES.n_harmonics == len(HARMONICS)


@pytest.mark.parametrize("hz", [82.4, 110.0, 220.0, 523.3, 1318.5])
def test_band_and_amplitude_of_a_tone(hz):
    harmonics, _ = FEATURES(tone(hz, amplitude=0.1))
    fundamental = harmonics[0, HARMONICS.index(1), 25]
    assert abs(int(fundamental.argmax()) - band_of(hz)) <= 1
    # log10 of an amplitude of 0.1 is -1, which is scaled to 0.75; off the centre of a band it is a little less
    assert float(fundamental.max()) == pytest.approx(0.75, abs=0.08)


def test_bands_above_the_nyquist_frequency_are_silent():
    harmonics, _ = FEATURES(tone(7950.0))
    floor = float(FEATURES(torch.zeros(1, 8000))[0].max())
    assert float(harmonics[0, HARMONICS.index(8), 25, band_of(7950.0 / 8) :].max()) == pytest.approx(floor, abs=1e-3)


def test_silence_is_at_the_floor():
    harmonics, timbre = FEATURES(torch.zeros(1, 8000))
    assert torch.unique(harmonics).numel() == 1
    assert float(harmonics.max()) == pytest.approx(0.5 * np.log10(1e-4) + 1.25, abs=0.01)
    assert not timbre[:, N_MEL:, 2:].any(), "nothing changes"


def test_a_new_vowel_on_one_pitch_changes_the_timbre():
    """As in "la lo": the same pitch, another vowel from 0.5 s on."""
    voice = tone(200, 1.0)
    voice[:, 8000:] += tone(2400, 0.5)
    _, timbre = FEATURES(voice)
    assert timbre.shape == (1, 2 * N_MEL, 101)
    assert FEATURES.n_timbre == 2 * N_MEL
    rise = timbre[0, N_MEL:].amax(0)
    assert 49 <= int(rise[3:].argmax()) + 3 <= 52
    assert float(rise[10:46].max()) < 0.05 < 0.5 < float(rise.max())


@pytest.mark.parametrize("n_samples", [1, 159, 160, 161, 8000])
def test_there_is_a_frame_every_10_ms(n_samples):
    harmonics, timbre = FEATURES(torch.zeros(2, n_samples))
    assert harmonics.shape[2] == timbre.shape[2] == 1 + n_samples // 160


def test_features_are_computed_in_full_precision():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        harmonics, timbre = FEATURES(tone(220))
    assert harmonics.dtype == timbre.dtype == torch.float32
    expected = FEATURES(tone(220))
    assert torch.equal(harmonics, expected[0])
    assert torch.equal(timbre, expected[1])


def test_filters_are_not_in_the_state_dict():
    assert FEATURES.state_dict() == {}


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_the_grouping_of_bands_changes_nothing(at_once, monkeypatch):
    voice = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr("hf_model.transcriber.features.BANDS_PER_GROUP", at_once)
    grouped = VoiceFeatures(lowest_hz=40.0, pitch_bands=124, bands_per_octave=24)(voice)
    for one, other in zip(grouped, FEATURES(voice), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------- level


def test_each_of_a_batch_has_its_own_level():
    batch = torch.cat([tone(220, amplitude=0.001), tone(220, amplitude=0.9)])
    torch.testing.assert_close(set_level(batch)[0], set_level(batch)[1], rtol=1e-4, atol=1e-6)
