"""The fused network: the posteriors of the trained network, and the reach of its two steps."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from hf_model.inference import default_models
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing
from hf_model.transcriber.features import set_level
from hf_model.transcriber.fused import Convolution, FusedTranscriber, LocalFeatures, Pointwise
from hf_model.transcriber.network import Transcriber, TranscriberConfig

VOICE = set_level(torch.from_numpy(sing(compose(3, 12.0), 3).audio)[None])
SMALL = TranscriberConfig(lowest_hz=200.0, pitch_bands=30, bins_per_band=2, channels=4, width=8, dilations=(1, 4))


@pytest.fixture(params=["what ships", "small"])
def model(request, monkeypatch) -> Transcriber:
    """Networks in full precision; the small one has running statistics of the voice."""
    monkeypatch.setattr("hf_model.transcriber.network.fast_dtype", lambda: torch.float32)
    if request.param == "what ships":
        shipped = default_models().transcriber
        assert isinstance(shipped, Transcriber)
        return shipped
    return small_model()


@cache
def small_model() -> Transcriber:
    torch.manual_seed(0)
    small = Transcriber(SMALL)
    for _ in range(20):
        small(VOICE)
    return small.eval()


def probabilities(model: Transcriber) -> list[torch.Tensor]:
    *logits, pitch = (part[0] for part in model(VOICE))
    return [*(torch.sigmoid(part) for part in logits), pitch.softmax(-1)]


def posteriors_of(network: FusedTranscriber, waveform: torch.Tensor = VOICE) -> list[torch.Tensor]:
    local = network.local(waveform)
    return [*network.context(local.features), local.pitch]


@torch.inference_mode()
def test_posteriors_are_those_of_the_trained_network(model):
    for ours, expected in zip(posteriors_of(model.fused()), probabilities(model), strict=True):
        assert ours.shape == expected.shape
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_bfloat16_gives_similar_posteriors(model, monkeypatch):
    monkeypatch.setattr("hf_model.transcriber.network.fast_dtype", lambda: torch.bfloat16)
    for ours, expected in zip(posteriors_of(model.fused()), probabilities(model), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=0, atol=0.04)
        assert not torch.equal(ours, expected)


@torch.inference_mode()
def test_weights_are_copied(model):
    network, before = model.fused(), posteriors_of(model.fused())
    weight = model.heads.weight.clone()
    model.heads.weight.zero_()
    after = posteriors_of(network)
    model.heads.weight.copy_(weight)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@torch.inference_mode()
@pytest.mark.parametrize("at", [300, 511])
def test_frames_depend_on_their_reach_only(model, at):
    network = model.fused()
    local, cut = network.local(VOICE), network.local(VOICE[:, at * 160 :])
    inside = slice(at + network.local_reach, None)
    for part, whole in zip(cut, local, strict=True):
        torch.testing.assert_close(part[network.local_reach :], whole[inside], rtol=0, atol=1e-5)
    assert not torch.allclose(cut.features[network.local_reach - 3], local.features[inside.start - 3], atol=1e-5)
    context, cut_context = network.context(local.features), network.context(local.features[at:])
    inside = slice(at + network.context_reach, None)
    torch.testing.assert_close(cut_context[:, network.context_reach :], context[:, inside], rtol=0, atol=1e-5)


def test_reach_of_both_steps():
    network = default_models().transcriber.fused()
    assert network.local_reach == 7 + 1 + 15, "half of the long window, stem, planes"
    assert network.context_reach == 1 + 78, "the first convolution in time, and the dilated ones"


def test_very_short_recordings_have_one_frame(model):
    local = model.fused().local(torch.zeros(1, 159))
    assert isinstance(local, LocalFeatures)
    assert local.pitch.shape == (1, model.config.n_pitch_bins)
    assert model.fused().context(local.features).shape == (3, 1)


@pytest.mark.parametrize("dilation", [1, 3])
def test_batch_normalisation_is_fused(dilation):
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
        fused = Convolution(layer, norm, dtype=torch.float32)
        assert fused.reach == dilation
        plane = x.unsqueeze(2) if x.ndim == 3 else x
        found = fused(plane.contiguous(memory_format=torch.channels_last)).view_as(norm(layer(x)))
        np.testing.assert_allclose(found.numpy(), norm(layer(x)).detach().numpy(), atol=1e-5)


def test_pointwise_layers_are_one_product():
    torch.manual_seed(2)
    layers, plane = [nn.Conv2d(6, 3, 1), nn.Conv2d(6, 2, 1)], torch.randn(1, 6, 50, 7)
    outputs = Pointwise(*layers, dtype=torch.float32)(plane.contiguous(memory_format=torch.channels_last))
    for ours, layer in zip(outputs, layers, strict=True):
        torch.testing.assert_close(ours, layer(plane)[0].detach(), rtol=0, atol=1e-6)
