"""Quantised weights: within half a step of the weights, channel by channel."""

from __future__ import annotations

import pytest
import torch

from hf_model.separator.quantization import dequantize, quantize


def test_a_weight_is_within_half_a_step():
    weight = torch.tensor([1.27, 0.5, -0.004]).view(1, 3, 1, 1)
    stored = quantize({"conv.weight": weight, "conv.bias": torch.ones(1)})
    assert stored["conv.weight"].flatten().tolist() == [127, 50, 0]
    assert stored["conv.weight.scale"].item() == pytest.approx(0.01)
    assert stored["conv.bias"].dtype == torch.float16
    restored = dequantize(stored)
    assert list(restored) == ["conv.weight", "conv.bias"]
    torch.testing.assert_close(restored["conv.weight"], weight, atol=0.005, rtol=0)


@pytest.mark.parametrize(("name", "axis"), [("encoder.0.weight", 0), ("decoder.0.weight", 1)])
def test_each_output_channel_has_its_own_scale(name, axis):
    """A soft channel keeps its precision beside a loud one."""
    weight = torch.ones(2, 2, 5, 5)
    weight.select(axis, 0).mul_(1000.0)
    restored = dequantize(quantize({name: weight}))[name]
    torch.testing.assert_close(restored, weight)


def test_a_channel_of_zeros_stays_zero():
    assert not dequantize(quantize({"a": torch.zeros(1, 1, 2, 2)}))["a"].any()


def test_an_integer_weight_without_scale_is_refused():
    with pytest.raises(RuntimeError, match=r"a has no \.scale"):
        dequantize({"a": torch.zeros(1, 1, 2, 2, dtype=torch.int8)})
