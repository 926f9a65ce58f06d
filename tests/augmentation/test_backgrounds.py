"""What sounds beside a voice: as loud as it says, the same each time, going round, and without end."""

from __future__ import annotations

import pytest
import torch

from hf_model.augmentation.backgrounds import BACKGROUNDS, N_PIECES, RATE, beside, music, piece


@pytest.mark.parametrize("kind", ["music", "street"])
def test_a_piece_is_as_loud_as_any_other_and_the_same_each_time(kind):
    one = piece(kind, 0)
    assert float(one.square().mean().sqrt()) == pytest.approx(1.0, rel=1e-3)
    piece.cache_clear()
    assert torch.equal(piece(kind, 0), one)
    assert not torch.equal(piece(kind, 1), one)


def test_examples_begin_where_they_were_told_and_go_round():
    first = torch.tensor([(BACKGROUNDS.index("music") * N_PIECES + 0.5) / (len(BACKGROUNDS) * N_PIECES)])
    whole = piece("music", 0)
    begun, later = (beside(first, torch.tensor([place]), len(whole) + 100)[0] for place in (0.0, 0.25))
    assert torch.equal(begun[: len(whole)], whole)
    assert torch.equal(begun[len(whole) :], whole[:100])
    assert torch.equal(later[:1000], whole[len(whole) // 4 : len(whole) // 4 + 1000])


def test_every_choice_is_a_piece():
    ends = beside(torch.tensor([0.0, 0.999999, 1.0]), torch.tensor([0.0, 1.0, 0.5]), 160)
    assert ends.shape == (3, 160)
    assert ends.isfinite().all()


def test_the_band_keeps_time():
    sound = torch.from_numpy(music(8.0, 3)).unfold(0, 160, 160).square().mean(1)
    rise = (sound[1:] - sound[:-1]).clamp_min(0)
    spectrum = torch.fft.rfft(rise - rise.mean(), n=1 << 14).abs()
    bpm = torch.arange(len(spectrum)) * (RATE / 160) * 60 / (1 << 14)
    beats = spectrum[(bpm > 60) & (bpm < 160)].max()
    assert beats > 3 * spectrum[(bpm > 20) & (bpm < 600)].median()
