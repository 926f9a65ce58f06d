"""Settings of the synthesizer."""

from __future__ import annotations

from dataclasses import dataclass

from hf_model.config import check_range

CHUNK_FRAMES, CONTEXT_FRAMES = 400, 12
"""Frames that are rendered at a time, and further frames of context on both sides."""


@dataclass(frozen=True)
class SynthesizerConfig:
    """Settings of the synthesizer.

    Attributes
    ----------
    channels : int
        Channels of the network.
    layers : int
        Hidden convolutions over time, kernel 3.
    train_partials : bool
        Also learn a factor for every partial's envelope: doubles the time a step, and needs many examples of each key.
    """

    channels: int = 128
    layers: int = 3
    train_partials: bool = False

    def __post_init__(self) -> None:
        """Check the values; the context in rendering must cover the receptive field."""
        check_range("channels", self.channels, 8, 4096)
        check_range("layers", self.layers, 1, CONTEXT_FRAMES - 6)
