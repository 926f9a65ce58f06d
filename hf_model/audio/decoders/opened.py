"""What all decoders share: the error, the limits, and an open recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

BLOCK_SAMPLES = 1 << 18
"""Samples per channel of a block (6 s at 44.1 kHz)."""


class AudioError(ValueError):
    """A recording that cannot be used; the message contains the file and the reason."""


@dataclass(frozen=True)
class Opened:
    """A recording that is open for decoding.

    Attributes
    ----------
    blocks : iterator of ndarray, shape (channel, sample)
        Full scale at 1.
    sample_rate : int
        Hz.
    n_channels : int
    header_duration : float
        Seconds according to the header, 0 if unknown.
    warnings : list of str
        Complete after the last block.
    close : callable
        Closes the file before the last block.
    """

    blocks: Iterator[NDArray[np.float32]]
    sample_rate: int
    n_channels: int
    header_duration: float
    warnings: list[str] = field(default_factory=list)
    close: Callable[[], object] = lambda: None


def check_length(seconds: float, header_duration: float) -> None:
    """Compare the decoded length with that of the header.

    Raises
    ------
    AudioError
        If more than 1 % is missing.
    """
    if seconds < header_duration - max(0.1, 0.01 * header_duration):
        msg = f"the file is cut off: {seconds:.2f} s of {header_duration:.2f} s can be read"
        raise AudioError(msg)
