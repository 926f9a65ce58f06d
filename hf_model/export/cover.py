"""The cover of a song: its accompaniment, with the piano in the singer's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.io import write_wav_blocks
from hf_model.audio.loudness import SILENCE_LUFS, LoudnessMeter
from hf_model.piano.performance import SPOOL_SAMPLES, add_blocks, normalizing_gain, peak_gain

QUIETEST, LOUDEST = -6.0, 6.0
"""LU between piano and accompaniment; within this range it is that of the voice."""


class Piano(Protocol):
    """A performance: :class:`hf_model.piano.performance.Take`, or one like it."""

    @property
    def n_samples(self) -> int:
        """Samples."""
        ...

    @property
    def loudness(self) -> float:
        """LUFS."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the audio in blocks (channel, sample) of any lengths."""
        ...


class StoredAudio(Protocol):
    """Stored audio: :class:`hf_model.separator.song.Stem`, or one like it."""

    @property
    def loudness(self) -> float:
        """LUFS."""
        ...

    def blocks(self, n_samples: int, /) -> Iterator[NDArray[np.float32]]:
        """Yield the audio in blocks (channel, sample) of ``n_samples``."""
        ...


def write_cover(path: Path, take: Piano, voice: StoredAudio, backing: StoredAudio, *, normalize: bool = True) -> float:
    """Write accompaniment and piano as a 16-bit stereo wav file at 44.1 kHz.

    The piano is as much louder or softer than the accompaniment as the voice was.

    Parameters
    ----------
    path : path
    take : Take
        The piano.
    voice, backing : Stem
        The voice that was taken out of the song, and the rest; as long as the piano.
    normalize : bool
        Normalize the sum as a performance of the piano; otherwise the song keeps its level, and is only turned down
        where its peaks would exceed ``TRUE_PEAK``.

    Returns
    -------
    float
        Gain of the accompaniment.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    balance = piano_gain(take.loudness, voice.loudness, backing.loudness)
    meter = LoudnessMeter(PIANO_SAMPLE_RATE)
    for block in _mix(take, backing, balance, 1.0):
        meter.add(block)
    gain = normalizing_gain(meter) if normalize else min(1.0, peak_gain(meter))
    write_wav_blocks(path, _mix(take, backing, balance, gain), PIANO_SAMPLE_RATE, take.n_samples)
    return gain


def piano_gain(piano: float, voice: float, backing: float) -> float:
    """Compute the gain of a piano that takes the place of a voice, from the loudness of all three (LUFS).

    Without an accompaniment the piano is as loud as the voice; without a voice, as the accompaniment.
    """
    if piano <= SILENCE_LUFS or max(voice, backing) <= SILENCE_LUFS:
        return 1.0
    if backing <= SILENCE_LUFS:
        target = voice
    elif voice <= SILENCE_LUFS:
        target = backing
    else:
        target = backing + float(np.clip(voice - backing, QUIETEST, LOUDEST))
    return float(10.0 ** ((target - piano) / 20.0))


def _mix(take: Piano, backing: StoredAudio, balance: float, gain: float) -> Iterator[NDArray[np.float32]]:
    """Add the piano, times ``balance``, to the accompaniment, and apply the gain to both."""
    piano = (np.float32(balance) * block for block in take.blocks())
    for block in add_blocks(piano, backing.blocks(SPOOL_SAMPLES)):  # their lengths differ
        yield np.float32(gain) * block
