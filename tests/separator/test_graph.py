"""The ONNX graph of the separator: what the U-Nets compute, for any number of frames, in a small file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from hf_model.onnx.session import Session
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.graph import build_graph, parities
from hf_model.separator.network import SeparatorNetwork

CONFIG = SeparatorConfig(channels=(4, 8, 8), n_bins=64)


@pytest.fixture(scope="module")
def network() -> SeparatorNetwork:
    """A small network whose running statistics are those of its input, with rounded weights."""
    torch.manual_seed(0)
    network = SeparatorNetwork(CONFIG)
    with torch.no_grad():
        for _ in range(20):
            network(magnitudes(24))
    return network.rounded()


def magnitudes(n_frames: int) -> torch.Tensor:
    return 10.0 * torch.rand(1, 2, n_frames, CONFIG.n_bins).pow(4)


def content_of(network: SeparatorNetwork) -> bytes:
    return build_graph(network.config, {name: value.numpy() for name, value in network.state_dict().items()})


@torch.inference_mode()
@pytest.mark.parametrize("n_frames", [8, 24, 64])
def test_the_mask_is_that_of_the_networks(network, n_frames):
    magnitude = magnitudes(n_frames)
    expected = network(magnitude).numpy()
    assert expected.std() > 0.01  # the mask is not constant
    (mask,) = Session(content_of(network)).run(magnitude=magnitude.numpy())
    np.testing.assert_allclose(mask, expected, atol=1e-5)


def test_weights_are_stored_in_bytes(network):
    model = onnx.load_from_string(content_of(network))
    onnx.checker.check_model(model)
    n_weights = sum(value.numel() for value in network.state_dict().values() if value.ndim == 4)
    levels = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(tensor.dims) for tensor in levels) == n_weights
    assert content_of(network) == content_of(network)


def test_parities_are_the_transposed_convolution():
    """Four convolutions, interleaved: 25 products an output of 4, as many as the kernel has."""
    torch.manual_seed(1)
    kernel, x = torch.randn(3, 2, 5, 5), torch.randn(1, 3, 4, 6)
    expected = F.conv_transpose2d(x, kernel, stride=2, padding=1)[..., :-1, :-1]
    found, n_taps = torch.full((1, 2, 8, 12), torch.nan), 0
    for name, part, (top, left, bottom, right) in parities(kernel.numpy()):
        padded = F.pad(x, (left, right, top, bottom))
        found[:, :, int(name[0]) :: 2, int(name[1]) :: 2] = F.conv2d(padded, torch.from_numpy(part.copy()))
        n_taps += part.shape[2] * part.shape[3]
    assert n_taps == 25
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
