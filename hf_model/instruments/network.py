"""The network that tells instruments apart, in torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from hf_model.instruments.classes import CLASSES
from hf_model.instruments.config import InstrumentConfig
from hf_model.instruments.spectrogram import N_MELS
from hf_model.onnx.export import Graph
from hf_model.onnx.session import MODEL_FILE
from hf_model.pretrained import Pretrained


class InstrumentNetwork(Pretrained):
    """Convolutions on a log-mel spectrogram; the probability of each class is averaged over time before the sigmoid."""

    config_class = InstrumentConfig
    kind = "instrument"
    config: InstrumentConfig

    def __init__(self, config: InstrumentConfig | None = None) -> None:
        config = config or InstrumentConfig()
        super().__init__(config)
        layers: list[nn.Module] = []
        for before, after in pairwise((1, *config.channels)):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)
        n_bands = N_MELS // 2 ** len(config.channels)
        self.bands = nn.Conv2d(config.channels[-1], config.width, (1, n_bands))
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(2 * config.width, len(CLASSES))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map log-mel spectrograms (batch, frame, band) to logits (batch, class); at least 32 frames."""
        hidden = torch.relu(self.bands(self.layers(spectrogram[:, None])))[..., 0]  # (batch, channel, time)
        pooled = torch.cat([hidden.mean(2), hidden.amax(2)], dim=1)
        logits: Tensor = self.output(self.dropout(pooled))
        return logits

    def graphs(self) -> Mapping[str, Graph]:
        """Give the whole network, for any number of clips and frames."""
        free = {0: "clip", 1: "frame"}
        example = torch.rand(2, 150, N_MELS, generator=torch.Generator().manual_seed(0))
        axes = {"spectrogram": free, "logits": {0: "clip"}}
        return {MODEL_FILE: Graph(self.eval(), {"spectrogram": example}, ["logits"], axes)}
