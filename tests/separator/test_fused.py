"""The U-Net for inference computes what the U-Net computes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from hf_model.separator.fused import FusedUNet, interleave, subpixel_weight
from hf_model.separator.unet import UNet


def make_unet() -> UNet:
    """A small network whose running statistics are those of its input."""
    torch.manual_seed(0)
    network = UNet((4, 8, 8))
    for _ in range(20):
        network(make_magnitude())
    return network.eval()


def make_magnitude() -> torch.Tensor:
    return 10.0 * torch.rand(1, 2, 24, 32).pow(4)


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_the_mask_is_that_of_the_unet(dtype, tolerance):
    network, magnitude = make_unet(), make_magnitude()
    expected = network(magnitude)
    assert expected.shape == magnitude.shape
    assert float(expected.std()) > 10 * tolerance / 3  # the mask is not constant
    torch.testing.assert_close(FusedUNet(network, dtype)(magnitude), expected, atol=tolerance, rtol=0)


def test_the_weights_are_copies():
    network, magnitude = make_unet(), make_magnitude()
    fused = FusedUNet(network, torch.float32)
    before = fused(magnitude)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(fused(magnitude), before)


def test_subpixel_convolution_is_the_transposed_convolution():
    torch.manual_seed(1)
    weight, x = torch.randn(3, 2, 5, 5), torch.randn(1, 3, 4, 6)
    expected = F.conv_transpose2d(x, weight, stride=2, padding=1)[..., :-1, :-1]
    ours = interleave(F.conv2d(x, subpixel_weight(weight), padding=1))
    assert ours.shape == (1, 2, 8, 12)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_interleaving_alternates_rows_and_columns():
    outputs = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    assert interleave(outputs)[0, 0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
