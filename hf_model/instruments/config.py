"""Shape of the network that tells instruments apart."""

from __future__ import annotations

from dataclasses import dataclass

from hf_model.config import check_range


@dataclass(frozen=True)
class InstrumentConfig:
    """Settings of the network.

    Attributes
    ----------
    channels : tuple of int
        Output channels of the convolutions; each halves bands and frames.
    width : int
        Channels after the bands are joined.
    dropout : float
    """

    channels: tuple[int, ...] = (24, 48, 96, 128, 160)
    width: int = 192
    dropout: float = 0.3

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_range("number of channels", len(self.channels), 2, 6)
        for width in self.channels:
            check_range("channels", width, 4, 1024)
        check_range("width", self.width, 8, 2048)
        check_range("dropout", self.dropout, 0.0, 0.9)
