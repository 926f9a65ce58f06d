"""Augmentation: each effect alone, the transformed notes, and reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.augmentation.augment import AugmentConfig, augment
from hf_model.config import ConfigError

NOTHING = {
    "stretch": 1.0, "room": 0.0, "noise": 0.0, "colour": 0.0, "phone": 0.0, "clip": 0.0, "neighbour": 0.0,
    "background": 0.0, "voiceless": 0.0, "codec": 0.0, "compress": 0.0,
}  # fmt: skip


def voices(hz: float = 440.0, batch: int = 4, seconds: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tones, with one note from 0.2 to 0.8 s and a row of padding; 101 frames a second."""
    times = torch.arange(round(16000 * seconds)) / 16000
    inside = ((times >= 0.2) & (times < 0.8)).float()
    waveform = (0.1 * torch.sin(2 * torch.pi * hz * times) * inside).expand(batch, -1).clone()
    note = [0.2, 0.8, 69 + 12 * np.log2(hz / 440), 80.0]
    notes = torch.tensor([[note, [0.0, 0.0, 0.0, 0.0]]], dtype=torch.float32).expand(batch, -1, -1).clone()
    return waveform, notes, torch.full((batch,), 1 + round(100 * seconds))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmented(seed: int = 0, hz: float = 440.0, **shares: float):
    return augment(*voices(hz), AugmentConfig(**{**NOTHING, **shares}), generator(seed))


def likeness(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of each row's waveforms."""
    return torch.cosine_similarity(one, other, dim=1)


def rows_without_hum(seeds, **shares: float):
    """Clean and augmented rows without mains hum, which is added at random regardless of the settings."""
    clean = voices()[0]
    rows = []
    for seed in seeds:
        result = augmented(seed, **shares)[0]
        quiet = result[:, :2400].abs().amax(1) < 1e-5
        rows += list(zip(clean[quiet], result[quiet], strict=True))
    return rows


def test_with_everything_off_only_the_level_changes():
    rows = rows_without_hum(range(4))
    assert len(rows) >= 8
    for clean, result in rows:
        gain = float((result @ clean) / (clean @ clean))
        assert 10 ** (-3.1 / 20) < gain < 10 ** (3.1 / 20)
        torch.testing.assert_close(result, gain * clean, atol=1e-4, rtol=1e-3)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(1.05, 2.0))
def test_stretching_moves_pitch_tempo_and_notes_together(seed, stretch):
    waveform, notes, n_frames = augment(*voices(), AugmentConfig(**{**NOTHING, "stretch": stretch}), generator(seed))
    factor = waveform.shape[1] / 16000
    assert 0.94 / stretch <= factor <= 1.06 * stretch, "to the nearest length that is fast to transform"
    assert waveform.shape[1] % 160 == 0
    assert notes[0, 0, :2].tolist() == pytest.approx([0.2 * factor, 0.8 * factor], rel=1e-5)
    assert float(notes[0, 0, 2]) == pytest.approx(69 - 12 * np.log2(factor), abs=1e-3)
    assert notes[:, 1].eq(0).all(), "padding stays padding"
    assert n_frames.tolist() == [min(round(101 * factor), 1 + waveform.shape[1] // 160)] * 4
    # The sound agrees with the notes: where it is, and its frequency.
    sounding = (waveform[0].abs() > 0.03).nonzero()
    assert float(sounding.min()) / 16000 == pytest.approx(0.2 * factor, abs=0.005)
    assert float(sounding.max()) / 16000 == pytest.approx(0.8 * factor, abs=0.005)
    spectrum = torch.fft.rfft(waveform[0], n=1 << 17).abs()
    assert float(spectrum.argmax()) * 16000 / (1 << 17) == pytest.approx(440 / factor, rel=0.004)
    assert float(waveform.abs().amax()) == pytest.approx(0.1, rel=0.5), "the level stays"


def test_noise_has_the_requested_level():
    ratios = []
    for seed in range(8):
        result = augmented(seed, noise=1.0, snr_low=10.0, snr_high=10.0)[0]
        clean, _, _ = voices()
        silence = result[:, :2400]
        level = clean.square().mean(1).sqrt()
        ratio = 20 * torch.log10(level / silence.square().mean(1).sqrt())
        # Its strength varies from 0.1 to 1.9, more slowly than this second.
        assert ((ratio > 0) & (ratio < 31)).all(), ratio
        ratios += ratio.tolist()
    assert 7 < np.median(ratios) < 13


def test_a_room_has_a_decaying_tail():
    reverberant = torch.stack([result for _, result in rows_without_hum(range(3), room=1.0)])
    assert (reverberant[:, 12960:14000].abs().amax(1) > 1e-5).all(), "10 ms after the end"
    early, late = (reverberant[:, at : at + 800].square().mean() for at in (12960, 15000))
    assert late < early
    # Nothing comes before the direct sound.
    assert reverberant[:, :3199].abs().max() < 1e-4


def test_a_microphone_keeps_the_tone():
    rows = rows_without_hum(range(3), colour=1.0)
    for clean, result in rows:
        assert float(likeness(clean[None, 4000:12000], result[None, 4000:12000])) > 0.99


def test_a_telephone_removes_low_and_high_bands():
    def kept(hz: float) -> float:
        result = augmented(3, hz=hz, phone=1.0)[0]
        return float(result[:, 4000:12000].square().mean().sqrt() / (0.1 / 2**0.5))

    assert kept(1000.0) > 0.6
    assert kept(20.0) < 0.35
    assert kept(7900.0) < 0.2


def test_clipping_flattens_the_peaks():
    crest = []
    for _, result in rows_without_hum(range(4), clip=1.0):
        middle = result[4000:12000]
        crest.append(float(middle.abs().max() / middle.square().mean().sqrt()))
    assert min(crest) < 1.15, "a sine driven 24 dB over is nearly square"
    assert max(crest) < 1.42


def test_a_neighbour_is_another_quieter_voice_of_the_batch():
    waveform, notes, n_frames = voices(batch=2)
    waveform[1] = voices(660.0)[0][0]
    result, _, _ = augment(waveform, notes, n_frames, AugmentConfig(**{**NOTHING, "neighbour": 1.0}), generator(1))
    spectrum = torch.fft.rfft(result[0, 4000:12000]).abs()
    own, other = (float(spectrum[round(hz / 2) - 2 : round(hz / 2) + 3].max()) for hz in (440, 660))
    assert -32 < 20 * np.log10(other / own) < -12


def test_an_effect_has_the_requested_fraction():
    hit = sum(
        int((augmented(seed, phone=0.25, hz=7900.0)[0][:, 4000:12000].abs().amax(1) < 0.04).sum()) for seed in range(40)
    )
    assert 20 <= hit <= 60, "of 160 voices a quarter goes through a telephone"


def test_only_the_generator_determines_the_result():
    torch.manual_seed(1)
    one = augment(*voices(), AugmentConfig(), generator(7))
    torch.manual_seed(2)
    torch.rand(10)
    other = augment(*voices(), AugmentConfig(), generator(7))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(
        one[0], augment(*voices(), AugmentConfig(stretch=1.0), generator(8))[0][:, : one[0].shape[1]]
    )


def test_each_example_is_augmented_independently():
    result = augmented(0, noise=1.0)[0]
    assert not torch.allclose(result[0], result[1], atol=1e-3)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_every_result_is_finite_and_bounded(seed):
    waveform, notes, n_frames = voices(batch=3, seconds=0.5)
    waveform[1] = 0.0  # silence
    result, moved, lengths = augment(waveform, notes, n_frames, AugmentConfig(), generator(seed))
    assert result.isfinite().all()
    assert moved.isfinite().all()
    assert result.abs().max() < 10
    assert ((lengths >= 1) & (lengths <= 1 + result.shape[1] // 160)).all()
    assert waveform[1].eq(0).all(), "the input is unchanged"


def test_invalid_settings_are_errors():
    with pytest.raises(ConfigError, match=r"stretch is 0\.5, allowed is 1\.0 to 2\.0"):
        AugmentConfig(stretch=0.5)
    with pytest.raises(ConfigError, match=r"room is 1\.5"):
        AugmentConfig(room=1.5)
    with pytest.raises(ConfigError, match=r"snr_high is 3\.0, allowed is 5\.0 to 80\.0"):
        AugmentConfig(snr_high=3.0)
