"""What is made of the separated voice: whether somebody sings at all, and what the transcriber of songs is given.

A separator takes soft and unusual voices for accompaniment and mutes them; a little of everything keeps them audible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.recording import SILENCE

BACKING_SHARE = 0.1
"""Gain of the accompaniment (-20 dB); the transcriber of songs is trained with the same."""

LEAST_DB = -20.0
"""Level of the voice relative to the song in a second in which somebody sings. Bands without singing leave -60 to
-90 dB, instruments that resemble a voice up to -30 dB."""

LEAST_SHARE = 0.02
"""Of the seconds, at least one."""


def blend(voice: NDArray[np.float32], backing: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add a share of the accompaniment to the separated voice; arrays of the same shape."""
    return np.asarray(voice + np.float32(BACKING_SHARE) * backing, dtype=np.float32)


def unblend(voice: NDArray[np.float32], blended: NDArray[np.float32]) -> NDArray[np.float32]:
    """Recover the accompaniment from the voice and what :func:`blend` made of it."""
    return np.asarray((blended - voice) / np.float32(BACKING_SHARE), dtype=np.float32)


def has_singing(voice: NDArray[np.float32], song: NDArray[np.float32]) -> bool:
    """Compare a separated voice with the song, second by second.

    Parameters
    ----------
    voice, song : ndarray, shape (sample,)
        16 kHz, equally long.
    """
    if np.abs(voice).max(initial=0.0) < SILENCE:
        return False
    length = min(VOICE_STFT.sample_rate, len(song))
    count = len(song) // length
    blocks = (part[: count * length].reshape(count, length).astype(np.float64) for part in (voice, song))
    sung, whole = (np.square(part).mean(axis=1) for part in blocks)
    is_sung = (sung > 0.0) & (sung >= 10.0 ** (LEAST_DB / 10.0) * whole)
    return bool(is_sung.sum() >= max(1.0, LEAST_SHARE * count))
