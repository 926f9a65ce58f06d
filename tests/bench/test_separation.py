"""Figures of the separator and the fitting of the decision between voice and song."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench.songs.separation import percent, separate_like_original, si_sdr
from bench.songs.source_clips import Clip
from bench.songs.source_fit import fit, fit_logistic, held_out_logits
from hf_model.augmentation.backgrounds import music
from hf_model.config import from_mapping
from hf_model.instruments.classes import CLASSES
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.network import SeparatorNetwork
from hf_model.separator.source import MODELS, LogisticModel
from hf_model.separator.source_features import NAMES
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing


def test_si_sdr_ignores_the_gain():
    voice = np.array([[1.0, -1.0, 1.0, -1.0]], dtype=np.float32)
    error = np.array([[0.1, 0.1, -0.1, -0.1]], dtype=np.float32)  # at right angles to the voice
    assert si_sdr(voice, voice + error) == pytest.approx(20.0, abs=1e-4)
    assert si_sdr(voice, 5.0 * (voice + error)) == pytest.approx(20.0, abs=1e-4)


def test_wilsons_interval():
    assert percent(9, 10) == "90.0 % [59.6, 98.2]"
    assert percent(10, 10) == "100.0 % [72.2, 100.0]"


def test_the_original_has_nothing_above_its_limit():
    torch.manual_seed(0)
    separator = SeparatorNetwork(SeparatorConfig(channels=(2, 4), n_bins=64)).eval()
    mix = np.random.default_rng(0).standard_normal((2, 30000)).astype(np.float32)
    separated = separate_like_original(separator, mix)
    assert separated.shape == mix.shape
    power = np.abs(np.fft.rfft(separated[0] * np.hanning(30000))) ** 2
    limit = round(64 / 4096 * 30000)  # bin 64 of 4096, in a transform of 30,000 samples
    assert power[2 * limit :].sum() < 1e-3 * power[:limit].sum()


def test_logistic_regression_finds_the_feature_that_tells():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 3))
    labels = (features[:, 1] + 0.3 * rng.standard_normal(400) > 0).astype(float)
    model = fit_logistic(features, labels, 1.0)
    assert abs(model.weights[1]) > 5 * max(abs(model.weights[0]), abs(model.weights[2]))
    logits = held_out_logits(features, labels, 1.0)
    assert np.mean((logits > 0) == (labels > 0)) > 0.85


def test_fitting_writes_what_loads(tmp_path):
    clips = []
    for seed in range(6):
        voice = sing(compose(seed, 4.0), seed).audio[:40000]
        clips += [Clip(voice, "alone", False), Clip(0.1 * music(2.5, seed), "only band", True)]

    class Half:
        def separate(self, blocks):
            yield from (np.float32(0.5) * block for block in blocks)

    fitted = fit(clips, Half(), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert {name: from_mapping(LogisticModel, settings[name]) for name in MODELS} == fitted
    counts = [len(NAMES), len(NAMES) + len(CLASSES), 3 + 2 * len(NAMES)]
    assert [len(fitted[name].weights) for name in MODELS] == counts
