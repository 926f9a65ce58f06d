"""A part of a recording, cut out of its blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from hf_model.audio.clock import format_clock
from hf_model.audio.grid import seconds_to_samples
from hf_model.audio.reader import AudioError

Blocks = Iterable[NDArray[Any]]
"""Audio block by block, each (channel, sample)."""


@dataclass(frozen=True)
class Part:
    """A part of a recording.

    Attributes
    ----------
    start, end : float
        Seconds; the end None is that of the recording.

    Raises
    ------
    AudioError
        If ``start`` is negative, or ``end`` is not after it.
    """

    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        """Check the order."""
        if not 0 <= self.start < math.inf:
            msg = f"start is {self.start}, allowed is 0 or more seconds"
            raise AudioError(msg)
        if self.end is not None and not self.start < self.end < math.inf:
            msg = f"end is {format_clock(self.end)}, it must be after start, {format_clock(self.start)}"
            raise AudioError(msg)

    def length_in(self, duration: float) -> float:
        """Seconds of the part in a recording of ``duration`` seconds."""
        return max(0.0, min(duration, math.inf if self.end is None else self.end) - self.start)

    def cut(self, blocks: Blocks, sample_rate: int) -> Blocks:
        """Give the samples of the part; the blocks after it are not asked for.

        Raises
        ------
        AudioError
            While iterating: if the recording ends before the part.
        """
        return blocks if self == Part() else self._cut(iter(blocks), sample_rate)

    def _cut(self, blocks: Iterator[NDArray[Any]], sample_rate: int) -> Iterator[NDArray[Any]]:
        n_skipped = seconds_to_samples(self.start, sample_rate)
        n_left: float = math.inf if self.end is None else seconds_to_samples(self.end - self.start, sample_rate)
        n_read = 0
        with closing(_closable(blocks)) as source:
            for block in source:
                n_read += block.shape[1]
                kept = block[:, n_skipped:]
                n_skipped -= block.shape[1] - kept.shape[1]
                kept = kept if kept.shape[1] <= n_left else kept[:, : int(n_left)]
                n_left -= kept.shape[1]
                if kept.shape[1]:
                    yield kept
                if n_left <= 0:
                    return
        if n_skipped or n_read == seconds_to_samples(self.start, sample_rate):
            msg = f"it ends at {format_clock(n_read / sample_rate)}, before the start at {format_clock(self.start)}"
            raise AudioError(msg)

    def shortfall(self, n_samples: int, sample_rate: int) -> tuple[str, ...]:
        """Warn if a recording that gave ``n_samples`` ends before the part."""
        if self.end is None or n_samples >= seconds_to_samples(self.end - self.start, sample_rate):
            return ()
        end = format_clock(self.start + n_samples / sample_rate)
        return (f"the recording ends at {end}, before {format_clock(self.end)}",)


def _closable(blocks: Iterator[NDArray[Any]]) -> Any:
    """Return a generator, which closes a file when it is closed; others become one."""
    return blocks if hasattr(blocks, "close") else (block for block in blocks)
