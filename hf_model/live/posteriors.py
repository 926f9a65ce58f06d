"""Posteriors of the last moments of a recording that goes on, as if it ended now."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.transcriber.level import LEVEL_BLOCK, LEVEL_REACH, set_level
from hf_model.transcriber.transcriber import Transcriber


class Tail(NamedTuple):
    """Posteriors of the last frames.

    ``first`` is the frame of the recording at which they begin; ``onset``, ``voicing`` are probabilities (frame,), and
    ``pitch`` (frame,) is the most likely pitch, a MIDI number.
    """

    first: int
    onset: NDArray[np.float32]
    voicing: NDArray[np.float32]
    pitch: NDArray[np.float64]


class TailPosteriors:
    """Buffer of the last samples, and the posteriors of the last frames.

    Nothing that follows is known yet: the level is measured in what has been sung so far, and the network sees silence
    after the last sample.

    Parameters
    ----------
    transcriber : Transcriber
    n_frames : int
        Frames of which posteriors are wanted.
    """

    def __init__(self, transcriber: Transcriber, n_frames: int) -> None:
        self._transcriber, self._n_frames = transcriber, n_frames
        self._hop = transcriber.stft_config.hop_length
        reach = transcriber.local_reach + transcriber.context_reach
        self._n_computed = (n_frames + reach) * self._hop // LEVEL_BLOCK * LEVEL_BLOCK
        self._samples = np.zeros(0, dtype=np.float32)
        self._start = 0  # sample of the recording at which the buffer begins, a multiple of LEVEL_BLOCK

    @property
    def n_samples(self) -> int:
        """Samples of the recording so far."""
        return self._start + self._samples.size

    def push(self, samples: NDArray[np.float32]) -> None:
        """Add samples (sample,) at 16 kHz, and drop those no longer needed."""
        kept = max(LEVEL_REACH, self._n_computed + LEVEL_BLOCK)
        drop = max(0, self._samples.size + samples.size - kept) // LEVEL_BLOCK * LEVEL_BLOCK
        self._samples = np.concatenate([self._samples, samples])[drop:]
        self._start += drop

    def since(self, seconds: float) -> NDArray[np.float32]:
        """Return the samples from a time of the recording on, as far as they are kept."""
        rate = self._transcriber.stft_config.sample_rate
        return self._samples[max(0, round(seconds * rate) - self._start) :]

    def compute(self) -> Tail:
        """Compute the posteriors of the last frames."""
        transcriber = self._transcriber
        begin = max(0, self._samples.size - self._n_computed) // LEVEL_BLOCK * LEVEL_BLOCK
        local = transcriber.local(set_level(self._samples, begin, self._samples.size))
        onset, _, voicing = transcriber.context(local.features)
        at = max(0, len(onset) - self._n_frames)
        first = (self._start + begin) // self._hop + at
        config = transcriber.config
        pitch = config.lowest_pitch + config.pitch_step * local.pitch[at:].argmax(axis=1)
        return Tail(first, onset[at:], voicing[at:], pitch)
