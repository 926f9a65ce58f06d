"""The separator's networks: the ratio of their powers, settings, rounding of the weights."""

from __future__ import annotations

import pytest
import torch

from hf_model.config import ConfigError
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.network import SeparatorNetwork
from hf_model.weights import WeightsError

SMALL = SeparatorConfig(channels=(2, 4), n_bins=64)


@pytest.fixture
def small() -> SeparatorNetwork:
    torch.manual_seed(0)
    return SeparatorNetwork(SMALL).eval()


@torch.inference_mode()
def test_the_mask_is_the_ratio_of_powers(small, monkeypatch):
    monkeypatch.setattr(small.voice, "forward", lambda x: torch.full_like(x, 0.3))
    monkeypatch.setattr(small.accompaniment, "forward", lambda x: torch.full_like(x, 0.6))
    mask = small(torch.ones(1, 2, 64, 64))
    assert mask.numpy() == pytest.approx(0.2, abs=1e-6)  # .09 / (.09 + .36)


@torch.inference_mode()
def test_rounded_weights_are_those_that_are_stored(small):
    """Within half a step of the largest weight of the channel; rounding again changes nothing."""
    before = {name: value.clone() for name, value in small.state_dict().items()}
    rounded = small.rounded()
    for name, value in rounded.state_dict().items():
        assert torch.equal(small.state_dict()[name], before[name])
        limit = float(before[name].abs().max()) / 250 if value.ndim == 4 else 0.0
        torch.testing.assert_close(value, before[name], atol=limit, rtol=0)
        torch.testing.assert_close(rounded.rounded().state_dict()[name], value, atol=1e-7, rtol=1e-6)
    assert not torch.equal(rounded.voice.encoder[0].weight, before["voice.encoder.0.weight"])


def test_saved_weights_are_those_that_load(small, tmp_path):
    small.save_pretrained(tmp_path)
    loaded = SeparatorNetwork.from_pretrained(tmp_path)
    for name, tensor in small.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_bins": 100}, "remainder of n_bins"),
        ({"channels": (4,)}, "number of channels"),
        ({"n_bins": 4096}, "n_bins"),
    ],
)
def test_impossible_shapes_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SeparatorConfig(**settings)


def test_nan_is_refused(small, tmp_path):
    with torch.no_grad():
        small.voice.mask.bias[0] = float("nan")
    with pytest.raises(WeightsError, match=r"voice\.mask\.bias"):
        small.save_pretrained(tmp_path)
