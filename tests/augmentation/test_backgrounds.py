"""Background sounds: level, reproducibility and excerpts."""

from __future__ import annotations

import pytest
import torch

from hf_model.augmentation.backgrounds import BACKGROUNDS, N_SOUNDS, RATE, background, background_excerpts, music


@pytest.mark.parametrize("kind", ["music", "street"])
def test_a_background_has_unit_level_and_is_deterministic(kind):
    one = background(kind, 0)
    assert float(one.square().mean().sqrt()) == pytest.approx(1.0, rel=1e-3)
    background.cache_clear()
    assert torch.equal(background(kind, 0), one)
    assert not torch.equal(background(kind, 1), one)


def test_excerpts_start_at_the_given_position_and_repeat():
    first = torch.tensor([(BACKGROUNDS.index("music") * N_SOUNDS + 0.5) / (len(BACKGROUNDS) * N_SOUNDS)])
    whole = background("music", 0)
    begun, later = (background_excerpts(first, torch.tensor([place]), len(whole) + 100)[0] for place in (0.0, 0.25))
    assert torch.equal(begun[: len(whole)], whole)
    assert torch.equal(begun[len(whole) :], whole[:100])
    assert torch.equal(later[:1000], whole[len(whole) // 4 : len(whole) // 4 + 1000])


def test_every_choice_is_a_background():
    ends = background_excerpts(torch.tensor([0.0, 0.999999, 1.0]), torch.tensor([0.0, 1.0, 0.5]), 160)
    assert ends.shape == (3, 160)
    assert ends.isfinite().all()


def test_the_music_has_a_beat():
    sound = torch.from_numpy(music(8.0, 3)).unfold(0, 160, 160).square().mean(1)
    rise = (sound[1:] - sound[:-1]).clamp_min(0)
    spectrum = torch.fft.rfft(rise - rise.mean(), n=1 << 14).abs()
    bpm = torch.arange(len(spectrum)) * (RATE / 160) * 60 / (1 << 14)
    beats = spectrum[(bpm > 60) & (bpm < 160)].max()
    assert beats > 3 * spectrum[(bpm > 20) & (bpm < 600)].median()
