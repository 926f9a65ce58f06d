"""The separator of the package ``demucs``, where a user installed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from demucs.apply import apply_model
from demucs.pretrained import get_model
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.config import ConfigError

MODEL = "htdemucs"
"""Of those of the package, the one that it uses by default."""

VOICE = "vocals"
"""Its name for the voice."""


class Demucs:
    """Hybrid transformer Demucs; downloads its weights when it is loaded for the first time.

    Unlike the separator that ships, it holds the whole song in memory.

    Raises
    ------
    ConfigError
        If this version of the package has another kind of model.

    References
    ----------
    S. Rouard, F. Massa, A. Défossez, "Hybrid transformers for music source separation", ICASSP 2023.
    """

    def __init__(self) -> None:
        self._model = get_model(MODEL)
        self._model.eval()
        if self._model.samplerate != PIANO_SAMPLE_RATE or VOICE not in self._model.sources:
            msg = f"demucs' model {MODEL} has {self._model.samplerate} Hz and the sources {self._model.sources}"
            raise ConfigError(msg)

    def separate(self, blocks: Iterable[NDArray[np.float32]], /) -> Iterator[NDArray[np.float32]]:
        """Extract the voice from blocks (2, sample) at 44.1 kHz, all of it at the end."""
        mix = torch.from_numpy(np.concatenate([np.zeros((2, 0), dtype=np.float32), *blocks], axis=1))
        if not mix.any():
            yield mix.numpy()
            return
        # Its own program normalises songs like this.
        mean, deviation = mix.mean(), mix.mean(0).std().clamp(min=1e-8)
        with torch.inference_mode():
            found = apply_model(self._model, ((mix - mean) / deviation)[None], device="cpu")[0]
        voice: NDArray[np.float32] = (found[self._model.sources.index(VOICE)] * deviation + mean).numpy()
        yield voice
