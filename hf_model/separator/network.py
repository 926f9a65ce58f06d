"""The networks of the separator in torch: for conversion and training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from hf_model.onnx.export import Graph, compare_with_torch
from hf_model.onnx.session import MODEL_FILE
from hf_model.pretrained import Pretrained
from hf_model.separator.config import SeparatorConfig
from hf_model.separator.graph import FLOOR, INPUT, OUTPUT, build_graph
from hf_model.separator.quantization import round_weights
from hf_model.separator.unet import UNet

EXAMPLE_FRAMES = 64
"""Frames of the example on which ONNX Runtime is compared with torch."""


class SeparatorNetwork(Pretrained):
    """Two U-Nets, one for the voice and one for all else; the ratio of their powers is the voice's part of the mix."""

    config_class = SeparatorConfig
    kind = "separator"
    config: SeparatorConfig

    def __init__(self, config: SeparatorConfig | None = None) -> None:
        config = config or SeparatorConfig()
        super().__init__(config)
        self.voice = UNet(config.channels)
        self.accompaniment = UNet(config.channels)

    def forward(self, magnitude: Tensor) -> Tensor:
        """Estimate the voice's part of each bin.

        Parameters
        ----------
        magnitude : Tensor, shape (batch, 2, frame, bin)
            Of :data:`hf_model.separator.config.SEPARATOR_STFT`, ``n_bins`` bins, the number of frames a multiple of 64.

        Returns
        -------
        Tensor, shape (batch, 2, frame, bin)
            In (0, 1).
        """
        power: Tensor = self.voice(magnitude).square()
        other: Tensor = self.accompaniment(magnitude).square()
        return (power + FLOOR / 2) / (power + other + FLOOR)

    def export(self) -> dict[str, bytes]:
        """Convert the network to ONNX, the weights of its convolutions rounded to 8 bits.

        Raises
        ------
        WeightsError
            If ONNX Runtime computes something else than torch with the same weights.
        """
        network = self.rounded()
        content = build_graph(network.config, {name: value.numpy() for name, value in network.state_dict().items()})
        generator = torch.Generator().manual_seed(0)
        example = 10.0 * torch.rand(1, 2, EXAMPLE_FRAMES, network.config.n_bins, generator=generator).pow(4)
        compare_with_torch(content, Graph(network, {INPUT: example}, [OUTPUT]))
        return {MODEL_FILE: content}

    def rounded(self) -> SeparatorNetwork:
        """Copy the network, in evaluation mode, with the weights that :meth:`export` stores."""
        network = copy.deepcopy(self).cpu().eval()
        state = {name: value.numpy() for name, value in network.state_dict().items()}
        network.load_state_dict({name: torch.from_numpy(value) for name, value in round_weights(state).items()})
        return network
