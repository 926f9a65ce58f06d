"""The separator: a song in, the voice in it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_model.audio.grid import StftConfig
from hf_model.config import check_range
from hf_model.parallel.precision import fast_dtype
from hf_model.parallel.threads import in_threads
from hf_model.pretrained import Pretrained
from hf_model.separator.fused import FusedUNet
from hf_model.separator.quantization import dequantize
from hf_model.separator.streaming import Mask, separate_blocks
from hf_model.separator.unet import UNet

SEPARATOR_STFT = StftConfig(sample_rate=44100, n_fft=4096, win_length=4096, hop_length=1024)
"""The songs' spectra: frames of 93 ms."""

FLOOR = 1e-10
"""Added to the powers in the ratio of the sources."""


TOP_BINS = 256
"""Bins below the limit of the networks from which the mask above it is derived."""


@dataclass(frozen=True)
class SeparatorConfig:
    """Shape of the separator.

    Attributes
    ----------
    channels : tuple of int
        Output channels of the convolutions, outermost first.
    n_bins : int
        Bins that the networks see, from 0 Hz: 1,024 reach 11 kHz. A multiple of 2 to the number of convolutions.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    n_bins: int = 1024

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_range("number of channels", len(self.channels), 2, 6)
        for width in self.channels:
            check_range("channels", width, 1, 2048)
        check_range("n_bins", self.n_bins, 64, SEPARATOR_STFT.n_bins - 1)
        check_range("remainder of n_bins", self.n_bins % 2 ** len(self.channels), 0, 0)


class Separator(Pretrained):
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
            Of :data:`SEPARATOR_STFT`, ``n_bins`` bins, the number of frames a multiple of 64.

        Returns
        -------
        Tensor, shape (batch, 2, frame, bin)
            In (0, 1).
        """
        return _ratio(self.voice(magnitude), self.accompaniment(magnitude))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load weights, also those of :func:`hf_model.separator.quantization.quantize`."""
        return super().load_state_dict(dequantize(state_dict), *args, **kwargs)

    def separate(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Extract the voice from a song that arrives in blocks, in constant memory.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (2, sample)
            Stereo at 44.1 kHz, blocks of any length. Their boundaries do not change the result.

        Yields
        ------
        ndarray, shape (2, sample)
            The voice; in total as many samples.
        """
        yield from separate_blocks(blocks, SEPARATOR_STFT, self.fused())

    def fused(self) -> Mask:
        """Return the mask for inference, with the current weights."""
        (networks,) = in_threads([lambda: [FusedUNet(net, fast_dtype()) for net in (self.voice, self.accompaniment)]])
        n_bins = self.config.n_bins

        def mask(magnitude: Tensor) -> Tensor:
            seen = magnitude[None, :, :, :n_bins]
            inside = _ratio(*(network(seen) for network in networks))[0]
            # Squared, because cymbals remain where a consonant is: better to leave some of it in the accompaniment.
            above = inside[..., -TOP_BINS:].mean(-1, keepdim=True).square()
            return torch.cat([inside, above.expand(-1, -1, magnitude.shape[-1] - n_bins)], dim=-1)

        return mask


def _ratio(voice: Tensor, accompaniment: Tensor) -> Tensor:
    power = voice.square()
    return (power + FLOOR / 2) / (power + accompaniment.square() + FLOOR)
