"""The separator: a song in, the voice in it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.onnx.model import OnnxModel
from hf_model.onnx.session import load_session
from hf_model.parallel.memory import release_freed_memory
from hf_model.separator.config import SEPARATOR_STFT, SeparatorConfig
from hf_model.separator.streaming import separate_blocks

TOP_BINS = 256
"""Bins below the limit of the networks from which the mask above it is derived."""


class Separator(OnnxModel):
    """Two U-Nets, one for the voice and one for all else; the ratio of their powers is the voice's part of the mix."""

    config_class = SeparatorConfig
    kind = "separator"
    config: SeparatorConfig

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(folder, settings)
        self._session = load_session(folder, settings=settings)
        release_freed_memory()  # 130 MB, of the conversion of the weights

    def mask(self, magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimate the voice's part of each bin.

        Parameters
        ----------
        magnitude : ndarray, shape (2, frame, bin)
            Of :data:`SEPARATOR_STFT`, with a multiple of 64 frames.

        Returns
        -------
        ndarray, shape (2, frame, bin)
            In (0, 1).
        """
        n_bins = self.config.n_bins
        (inside,) = self._session.run(magnitude=np.ascontiguousarray(magnitude[None, :, :, :n_bins]))
        mask = np.empty(magnitude.shape, dtype=np.float32)
        mask[..., :n_bins] = inside[0]
        # Squared, because cymbals remain where a consonant is: better to leave some of it in the accompaniment.
        mask[..., n_bins:] = np.square(inside[0, :, :, -TOP_BINS:].mean(axis=-1, keepdims=True))
        return mask

    def separate(self, blocks: Iterable[NDArray[np.float32]], /) -> Iterator[NDArray[np.float32]]:
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
        yield from separate_blocks(blocks, SEPARATOR_STFT, self.mask)
