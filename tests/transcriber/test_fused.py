"""The network as it listens: what it says is what the trained one says, and it sees no further than it promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hf_model.inference import default_models
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing
from hf_model.transcriber.features import set_level
from hf_model.transcriber.fused import Convolution, FoldedTranscriber, Near, Pointwise
from hf_model.transcriber.network import Transcriber, TranscriberConfig

VOICE = set_level(torch.from_numpy(sing(compose(3, 12.0), 3).audio)[None])
SMALL = TranscriberConfig(lowest_hz=200.0, pitch_bands=30, bins_per_band=2, channels=4, width=8, dilations=(1, 4))


@pytest.fixture(params=["what ships", "small"])
def model(request, monkeypatch) -> Transcriber:
    """Networks in full precision; the small one's statistics are those of what it heard."""
    monkeypatch.setattr("hf_model.transcriber.network.fast_dtype", lambda: torch.float32)
    if request.param == "what ships":
        shipped = default_models().transcriber
        assert isinstance(shipped, Transcriber)
        return shipped
    torch.manual_seed(0)
    small = Transcriber(SMALL)
    for _ in range(20):
        small(VOICE)
    return small.eval()


def probabilities(model: Transcriber) -> list[torch.Tensor]:
    *curves, pitch = (part[0] for part in model(VOICE))
    return [*(torch.sigmoid(curve) for curve in curves), pitch.softmax(-1)]


def heard(network: FoldedTranscriber, waveform: torch.Tensor = VOICE) -> list[torch.Tensor]:
    near = network.near(waveform)
    return [*network.far(near.lines), near.pitch]


@torch.inference_mode()
def test_it_says_what_the_trained_network_says(model):
    for ours, expected in zip(heard(model.folded()), probabilities(model), strict=True):
        assert ours.shape == expected.shape
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_it_rounds_where_the_processor_is_faster_so(model, monkeypatch):
    monkeypatch.setattr("hf_model.transcriber.network.fast_dtype", lambda: torch.bfloat16)
    for ours, expected in zip(heard(model.folded()), probabilities(model), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=0, atol=0.04)
        assert not torch.equal(ours, expected)


@torch.inference_mode()
def test_it_keeps_the_weights_of_its_time(model):
    network, before = model.folded(), heard(model.folded())
    weight = model.heads.weight.clone()
    model.heads.weight.zero_()
    after = heard(network)
    model.heads.weight.copy_(weight)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@torch.inference_mode()
@pytest.mark.parametrize("at", [300, 511])
def test_frames_depend_on_what_is_in_reach_and_on_all_of_it(model, at):
    network = model.folded()
    near, cut = network.near(VOICE), network.near(VOICE[:, at * 160 :])
    inside = slice(at + network.near_reach, None)
    for part, whole in zip(cut, near, strict=True):
        torch.testing.assert_close(part[network.near_reach :], whole[inside], rtol=0, atol=1e-5)
    assert not torch.allclose(cut.lines[network.near_reach - 3], near.lines[inside.start - 3], atol=1e-5)
    far, cut_far = network.far(near.lines), network.far(near.lines[at:])
    inside = slice(at + network.far_reach, None)
    torch.testing.assert_close(cut_far[:, network.far_reach :], far[:, inside], rtol=0, atol=1e-5)


def test_reaches_are_those_of_the_layers():
    network = default_models().transcriber.folded()
    assert network.near_reach == 7 + 1 + 15, "half of the long window, stem, planes"
    assert network.far_reach == 1 + 78, "the first convolution in time, and the dilated ones"


def test_nothing_is_left_behind_by_very_short_recordings(model):
    near = model.folded().near(torch.zeros(1, 159))
    assert isinstance(near, Near)
    assert near.pitch.shape == (1, model.config.n_pitch_bins)
    assert model.folded().far(near.lines).shape == (3, 1)


@pytest.mark.parametrize("dilation", [1, 3])
def test_a_convolution_holds_its_normalisation(dilation):
    torch.manual_seed(1)
    layers = [
        (nn.Conv1d(6, 4, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm1d(4), torch.randn(1, 6, 50)),
        (
            nn.Conv2d(6, 4, (3, 5), padding=(dilation, 2), dilation=(dilation, 1), bias=False),
            nn.BatchNorm2d(4),
            torch.randn(1, 6, 50, 7),
        ),
    ]
    for layer, norm, x in layers:
        norm.weight.data.uniform_(0.5, 2.0)
        norm.bias.data.normal_()
        for _ in range(5):
            norm(layer(3 * x + 1))
        norm.eval()
        folded = Convolution(layer, norm, dtype=torch.float32)
        assert folded.reach == dilation
        plane = x.unsqueeze(2) if x.ndim == 3 else x
        found = folded(plane.contiguous(memory_format=torch.channels_last)).view_as(norm(layer(x)))
        np.testing.assert_allclose(found.numpy(), norm(layer(x)).detach().numpy(), atol=1e-5)


def test_layers_of_one_tap_are_one_product():
    torch.manual_seed(2)
    layers, plane = [nn.Conv2d(6, 3, 1), nn.Conv2d(6, 2, 1)], torch.randn(1, 6, 50, 7)
    told = Pointwise(*layers, dtype=torch.float32)(plane.contiguous(memory_format=torch.channels_last))
    for ours, layer in zip(told, layers, strict=True):
        torch.testing.assert_close(ours, layer(plane)[0].detach(), rtol=0, atol=1e-6)
