"""Audio files and sample rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.stft import resampled_length


class AudioError(ValueError):
    """A recording that cannot be used; the message names the file and the reason."""


def read_audio(path: Path | str) -> tuple[NDArray[np.float32], int]:
    """Read a recording.

    Returns
    -------
    audio : ndarray, shape (channel, sample)
        In [-1, 1].
    sample_rate : int
        Hz.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    import soundfile

    try:
        samples, sample_rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        msg = f"{path}: {error}"
        raise AudioError(msg) from error
    return np.ascontiguousarray(samples.T), int(sample_rate)


def to_mono(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the channels: (channel, sample) or (sample,) becomes (sample,)."""
    return audio if audio.ndim == 1 else np.asarray(audio.mean(axis=0), dtype=np.float32)


def resample(audio: NDArray[np.float32], sample_rate: int, new_rate: int) -> NDArray[np.float32]:
    """Change the rate of audio (..., sample); the length is exactly ``resampled_length``."""
    if sample_rate == new_rate:
        return audio
    import soxr

    wanted = resampled_length(audio.shape[-1], sample_rate, new_rate)
    changed = np.asarray(soxr.resample(audio.T, sample_rate, new_rate, quality="HQ")).T
    padded = np.zeros((*audio.shape[:-1], wanted), dtype=np.float32)
    n_samples = min(wanted, changed.shape[-1])
    padded[..., :n_samples] = changed[..., :n_samples]
    return padded


def write_audio(path: Path | str, audio: NDArray[np.float32], sample_rate: int) -> None:
    """Write audio (channel, sample) or (sample,) as 16-bit wav or flac, by the file's suffix."""
    import soundfile

    soundfile.write(str(path), np.clip(audio, -1.0, 1.0).T, sample_rate, subtype="PCM_16")
