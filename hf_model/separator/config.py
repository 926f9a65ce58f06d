"""Settings of the separator."""

from __future__ import annotations

from dataclasses import dataclass

from hf_model.audio.grid import StftConfig
from hf_model.config import check_range

SEPARATOR_STFT = StftConfig(sample_rate=44100, n_fft=4096, win_length=4096, hop_length=1024)
"""The songs' spectra: frames of 93 ms."""


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
