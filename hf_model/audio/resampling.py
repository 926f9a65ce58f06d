"""Sample rate conversion of arrays and of streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import resampled_length


def resample(audio: NDArray[np.float32], sample_rate: int, new_rate: int) -> NDArray[np.float32]:
    """Resample audio (..., sample); the length is exactly ``resampled_length``."""
    if sample_rate == new_rate:
        return audio
    import soxr

    n_samples = resampled_length(audio.shape[-1], sample_rate, new_rate)
    flat = np.ascontiguousarray(audio.reshape(-1, audio.shape[-1]).T)
    resampled = np.asarray(soxr.resample(flat, sample_rate, new_rate, quality="HQ")).T
    return _fit(resampled, n_samples).reshape(*audio.shape[:-1], n_samples)


class StreamResampler:
    """Resample mono audio that arrives in blocks; the total length is ``resampled_length``.

    Parameters
    ----------
    sample_rate, new_rate : int
        Hz.
    """

    def __init__(self, sample_rate: int, new_rate: int) -> None:
        self._rates = sample_rate, new_rate
        self._n_read = self._n_written = 0
        self._stream: Any = None
        if sample_rate != new_rate:
            import soxr

            self._stream = soxr.ResampleStream(sample_rate, new_rate, 1, dtype="float32", quality="HQ")

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add samples (sample,) and return the resampled audio that is complete."""
        if self._stream is None:
            return block
        resampled = np.asarray(self._stream.resample_chunk(block))
        self._n_read += block.shape[0]
        self._n_written += resampled.shape[0]
        return resampled

    def finish(self) -> NDArray[np.float32]:
        """End the stream and return the rest of the resampled audio."""
        if self._stream is None:
            return np.zeros(0, dtype=np.float32)
        rest = np.asarray(self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
        return _fit(rest, max(0, resampled_length(self._n_read, *self._rates) - self._n_written))


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], sample_rate: int, new_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Resample blocks of mono audio (sample,); the total length is ``resampled_length``."""
    resampler = StreamResampler(sample_rate, new_rate)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.finish()


def _fit(audio: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Cut or zero-pad the last axis to ``n_samples``."""
    fitted = np.zeros((*audio.shape[:-1], n_samples), dtype=np.float32)
    kept = min(n_samples, audio.shape[-1])
    fitted[..., :kept] = audio[..., :kept]
    return fitted
