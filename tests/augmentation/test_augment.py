"""The world around a voice: what is added, what moves together, and that it is drawn the same each time."""

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


def world(seed: int = 0, hz: float = 440.0, **shares: float):
    return augment(*voices(hz), AugmentConfig(**{**NOTHING, **shares}), generator(seed))


def likeness(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Correlation of each row's waveforms, level apart."""
    return torch.cosine_similarity(one, other, dim=1)


def without_hum(seeds, **shares: float):
    """Rows whose only change is what the settings ask for: mains hum comes to a few whatever they say."""
    clean = voices()[0]
    rows = []
    for seed in seeds:
        made = world(seed, **shares)[0]
        quiet = made[:, :2400].abs().amax(1) < 1e-5
        rows += list(zip(clean[quiet], made[quiet], strict=True))
    return rows


def test_with_everything_off_only_the_level_changes():
    rows = without_hum(range(4))
    assert len(rows) >= 8
    for clean, made in rows:
        gain = float((made @ clean) / (clean @ clean))
        assert 10 ** (-3.1 / 20) < gain < 10 ** (3.1 / 20)
        torch.testing.assert_close(made, gain * clean, atol=1e-4, rtol=1e-3)


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


def test_noise_is_as_loud_as_was_asked():
    ratios = []
    for seed in range(8):
        made = world(seed, noise=1.0, snr_low=10.0, snr_high=10.0)[0]
        clean, _, _ = voices()
        silence = made[:, :2400]
        level = clean.square().mean(1).sqrt()
        ratio = 20 * torch.log10(level / silence.square().mean(1).sqrt())
        # It swells up to 1.9 and down to 0.1 times its strength, slower than this second.
        assert ((ratio > 0) & (ratio < 31)).all(), ratio
        ratios += ratio.tolist()
    assert 7 < np.median(ratios) < 13


def test_a_room_rings_on_after_the_note():
    heard = torch.stack([made for _, made in without_hum(range(3), room=1.0)])
    assert (heard[:, 12960:14000].abs().amax(1) > 1e-5).all(), "10 ms after the end"
    early, late = (heard[:, at : at + 800].square().mean() for at in (12960, 15000))
    assert late < early
    # The direct sound is still there, and nothing comes before it.
    assert heard[:, :3199].abs().max() < 1e-4


def test_a_microphone_colours_but_keeps_the_tone():
    rows = without_hum(range(3), colour=1.0)
    for clean, made in rows:
        assert float(likeness(clean[None, 4000:12000], made[None, 4000:12000])) > 0.99


def test_a_telephone_takes_the_low_and_the_high():
    def kept(hz: float) -> float:
        made = world(3, hz=hz, phone=1.0)[0]
        return float(made[:, 4000:12000].square().mean().sqrt() / (0.1 / 2**0.5))

    assert kept(1000.0) > 0.6
    assert kept(20.0) < 0.35
    assert kept(7900.0) < 0.2


def test_clipping_flattens_the_peaks():
    crest = []
    for _, made in without_hum(range(4), clip=1.0):
        middle = made[4000:12000]
        crest.append(float(middle.abs().max() / middle.square().mean().sqrt()))
    assert min(crest) < 1.15, "a sine driven 24 dB over is nearly square"
    assert max(crest) < 1.42


def test_a_neighbour_is_another_voice_of_the_batch_but_much_quieter():
    waveform, notes, n_frames = voices(batch=2)
    waveform[1] = voices(660.0)[0][0]
    made, _, _ = augment(waveform, notes, n_frames, AugmentConfig(**{**NOTHING, "neighbour": 1.0}), generator(1))
    spectrum = torch.fft.rfft(made[0, 4000:12000]).abs()
    own, other = (float(spectrum[round(hz / 2) - 2 : round(hz / 2) + 3].max()) for hz in (440, 660))
    assert -32 < 20 * np.log10(other / own) < -12


def test_shares_are_shares():
    hit = sum(
        int((world(seed, phone=0.25, hz=7900.0)[0][:, 4000:12000].abs().amax(1) < 0.04).sum()) for seed in range(40)
    )
    assert 20 <= hit <= 60, "of 160 voices a quarter goes through a telephone"


def test_the_generator_decides_everything_and_nothing_else_does():
    torch.manual_seed(1)
    one = augment(*voices(), AugmentConfig(), generator(7))
    torch.manual_seed(2)
    torch.rand(10)
    other = augment(*voices(), AugmentConfig(), generator(7))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(
        one[0], augment(*voices(), AugmentConfig(stretch=1.0), generator(8))[0][:, : one[0].shape[1]]
    )


def test_each_of_a_batch_gets_a_world_of_its_own():
    made = world(0, noise=1.0)[0]
    assert not torch.allclose(made[0], made[1], atol=1e-3)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_whatever_is_drawn_is_sound(seed):
    waveform, notes, n_frames = voices(batch=3, seconds=0.5)
    waveform[1] = 0.0  # silence
    made, moved, lengths = augment(waveform, notes, n_frames, AugmentConfig(), generator(seed))
    assert made.isfinite().all()
    assert moved.isfinite().all()
    assert made.abs().max() < 10
    assert ((lengths >= 1) & (lengths <= 1 + made.shape[1] // 160)).all()
    assert waveform[1].eq(0).all(), "what was given is left alone"


def test_settings_are_checked():
    with pytest.raises(ConfigError, match=r"stretch is 0\.5, allowed is 1\.0 to 2\.0"):
        AugmentConfig(stretch=0.5)
    with pytest.raises(ConfigError, match=r"room is 1\.5"):
        AugmentConfig(room=1.5)
    with pytest.raises(ConfigError, match=r"snr_high is 3\.0, allowed is 5\.0 to 80\.0"):
        AugmentConfig(snr_high=3.0)
