"""What the transcriber sees: harmonics of a tone fall together, levels do not matter, changes of timbre show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_model.transcriber.features import (
    HARMONICS,
    LEVEL,
    LEVEL_BLOCK,
    LEVEL_REACH,
    N_MEL,
    QUIETEST,
    VoiceFeatures,
    set_level,
)

FEATURES = VoiceFeatures(lowest_hz=40.0, pitch_bands=124, bands_per_octave=24)


def tone(hz: float, seconds: float = 0.5, amplitude: float = 0.3) -> torch.Tensor:
    """One sine at 16 kHz, (1, sample)."""
    return (amplitude * torch.sin(2 * torch.pi * hz * torch.arange(round(16000 * seconds)) / 16000))[None]


def band_of(hz: float) -> int:
    return round(24 * float(np.log2(hz / 40.0)))


@pytest.mark.parametrize("number", range(len(HARMONICS)))
def test_each_harmonic_of_a_pitch_lands_on_the_band_of_the_pitch(number):
    f0 = 40.0 * 2 ** (70 / 24)  # the centre of band 70: 302 Hz
    harmonics, _ = FEATURES(tone(f0 * HARMONICS[number]))
    assert harmonics.shape == (1, len(HARMONICS), 51, 124)
    assert int(harmonics[0, number, 25].argmax()) == 70
    assert FEATURES.n_harmonics == len(HARMONICS)


@pytest.mark.parametrize("hz", [82.4, 110.0, 220.0, 523.3, 1318.5])
def test_a_tone_is_on_its_band_and_as_loud_as_it_is(hz):
    harmonics, _ = FEATURES(tone(hz, amplitude=0.1))
    fundamental = harmonics[0, HARMONICS.index(1), 25]
    assert abs(int(fundamental.argmax()) - band_of(hz)) <= 1
    # log10 of an amplitude of 0.1 is -1, which is scaled to 0.75; off the centre of a band it is a little less
    assert float(fundamental.max()) == pytest.approx(0.75, abs=0.08)


def test_what_lies_beyond_the_sample_rate_is_silent():
    harmonics, _ = FEATURES(tone(7950.0))
    floor = float(FEATURES(torch.zeros(1, 8000))[0].max())
    assert float(harmonics[0, HARMONICS.index(8), 25, band_of(7950.0 / 8) :].max()) == pytest.approx(floor, abs=1e-3)


def test_silence_is_the_floor_everywhere():
    harmonics, timbre = FEATURES(torch.zeros(1, 8000))
    assert torch.unique(harmonics).numel() == 1
    assert float(harmonics.max()) == pytest.approx(0.5 * np.log10(1e-4) + 1.25, abs=0.01)
    assert not timbre[:, N_MEL:, 2:].any(), "nothing rises"


def test_a_new_sound_on_one_pitch_shows_as_a_rise_of_timbre():
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


def test_tables_are_no_weights():
    assert FEATURES.state_dict() == {}


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_bands_are_what_they_are_however_they_are_grouped(at_once, monkeypatch):
    voice = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr("hf_model.transcriber.features.BANDS_AT_ONCE", at_once)
    grouped = VoiceFeatures(lowest_hz=40.0, pitch_bands=124, bands_per_octave=24)(voice)
    for one, other in zip(grouped, FEATURES(voice), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_harmonics_lie_as_convolutions_like_them():
    harmonics, _ = FEATURES(tone(220))
    assert harmonics.is_contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------------------------------------------------- level


@given(st.floats(1e-3, 10.0), st.integers(0, 3))
def test_every_recording_is_brought_to_one_level(gain, seed):
    voice = torch.randn(1, 16000, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(set_level(gain * voice), set_level(voice), rtol=1e-4, atol=1e-6)
    assert float(set_level(voice).square().mean().sqrt()) == pytest.approx(LEVEL, rel=0.02)


def test_pauses_do_not_count():
    voice = torch.cat([torch.zeros(1, 16000), tone(220, 1.0)], dim=1)
    assert float(set_level(voice)[:, 16000:].square().mean().sqrt()) == pytest.approx(LEVEL, rel=0.02)


def test_each_of_a_batch_has_its_own_level():
    batch = torch.cat([tone(220, amplitude=0.001), tone(220, amplitude=0.9)])
    torch.testing.assert_close(set_level(batch)[0], set_level(batch)[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_samples", [1, 400, 800, 801])
def test_short_and_silent_recordings_stay_what_they_are(n_samples):
    assert not set_level(torch.zeros(2, n_samples)).any()
    assert set_level(torch.full((1, n_samples), 0.3)).isfinite().all()
    assert set_level(torch.zeros(2, n_samples)).shape == (2, n_samples)


def rms(waveform: torch.Tensor) -> float:
    return float(waveform.square().mean().sqrt())


@pytest.mark.parametrize("louder_first", [False, True])
def test_a_singer_who_steps_back_is_as_loud_as_before(louder_first):
    near, far = tone(220, 20.0, 0.3), tone(220, 20.0, 0.003)
    voice = set_level(torch.cat([near, far] if louder_first else [far, near], dim=1))
    assert rms(voice[:, : 13 * 16000]) == pytest.approx(LEVEL, rel=0.02)
    assert rms(voice[:, 27 * 16000 :]) == pytest.approx(LEVEL, rel=0.02)


@pytest.mark.parametrize("at", [0, 7 * LEVEL_BLOCK + 3, 30 * 16000 - 1])
def test_what_is_far_away_does_not_matter_at_all(at):
    n_samples = 30 * 16000
    voice = 0.1 * torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0))
    near = torch.arange(n_samples).sub(at).abs() <= LEVEL_REACH
    changed = torch.where(near, voice, 30.0 * voice)
    assert set_level(changed)[0, at] == set_level(voice)[0, at]
    assert set_level(changed)[0, near][:: LEVEL_BLOCK // 2].ne(set_level(voice)[0, near][:: LEVEL_BLOCK // 2]).any()


def test_a_part_on_the_grid_has_the_level_of_the_whole():
    voice = torch.randn(1, 40 * 16000, generator=torch.Generator().manual_seed(1))
    voice *= torch.linspace(-4, 0, voice.shape[1]).exp()
    start, stop = 11 * LEVEL_BLOCK, 33 * 16000
    part, inside = set_level(voice[:, start:stop]), slice(LEVEL_REACH, stop - start - LEVEL_REACH)
    torch.testing.assert_close(part[:, inside], set_level(voice)[:, start:stop][:, inside], rtol=1e-5, atol=1e-7)


def test_noise_of_the_last_bit_stays_soft():
    dither = torch.full((1, 80000), 2.0**-16)
    assert rms(set_level(dither)) == pytest.approx(LEVEL * 2.0**-16 / QUIETEST, rel=1e-3)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (799, 801), (1600, 5000), (4321, 16077)])
def test_a_stretch_of_the_scaled_waveform_is_cut_from_the_whole(start, stop):
    voice = torch.randn(2, 16077, generator=torch.Generator().manual_seed(2)) * torch.linspace(0.01, 1, 16077)
    assert torch.equal(set_level(voice, start, stop), set_level(voice)[:, start:stop])
