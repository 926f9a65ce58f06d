"""Quantised weights: within half a step of the weights, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.separator.quantization import output_axis, quantize, round_weights


def test_a_weight_is_within_half_a_step():
    weight = np.array([1.27, 0.5, -0.004], np.float32).reshape(1, 3, 1, 1)
    levels, scale = quantize(weight, 0)
    assert levels.ravel().tolist() == [127, 50, 0]
    assert levels.dtype == np.int8
    assert scale.item() == pytest.approx(0.01)
    rounded = round_weights({"conv.weight": weight, "conv.bias": np.ones(1, np.float32)})
    np.testing.assert_allclose(rounded["conv.weight"].ravel(), [1.27, 0.5, 0.0], atol=1e-6)
    assert rounded["conv.bias"] == 1.0


@pytest.mark.parametrize(("name", "axis"), [("encoder.0.weight", 0), ("decoder.0.weight", 1)])
def test_each_output_channel_has_its_own_scale(name, axis):
    """A soft channel keeps its precision beside a loud one."""
    assert output_axis(name) == axis
    weight = np.ones((2, 2, 5, 5), np.float32)
    weight.swapaxes(0, axis)[0] *= 1000.0
    np.testing.assert_allclose(round_weights({name: weight})[name], weight, rtol=1e-6)


def test_rounding_again_changes_no_level():
    weight = np.random.default_rng(0).standard_normal((3, 4, 5, 5)).astype(np.float32)
    levels, _ = quantize(weight, 1)
    again, _ = quantize(round_weights({"decoder.weight": weight})["decoder.weight"], 1)
    assert np.array_equal(levels, again)


def test_a_channel_of_zeros_stays_zero():
    assert not round_weights({"a": np.zeros((1, 1, 2, 2), np.float32)})["a"].any()
