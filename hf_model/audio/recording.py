"""Recordings as the transcriber takes them: mono at 16 kHz, with warnings about their quality."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT, seconds_to_samples
from hf_model.audio.reader import BLOCK_SAMPLES, AudioError, AudioReader, check_format
from hf_model.audio.resampling import resample_blocks

SILENCE = 10 ** (-70 / 20)
"""Peak below which a recording is silent (-70 dB)."""

FULL_SCALE = 0.99
"""Magnitude from which equal neighbouring samples are clipped."""

MIN_SECONDS = 0.1
"""Shorter recordings cannot hold a note."""


@dataclass(frozen=True)
class Recording:
    """A voice, ready to be transcribed.

    Attributes
    ----------
    voice : ndarray, shape (sample,)
        float32 at 16 kHz, the mean of the channels; zero-padded to at least 0.1 s.
    n_samples, sample_rate : int
        Length (samples) and rate (Hz) of the original.
    warnings : tuple of str
        Problems of the recording, for the user.
    """

    voice: NDArray[np.float32]
    n_samples: int
    sample_rate: int
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_samples / self.sample_rate


def read_recording(path: Path | str, max_seconds: float = math.inf) -> Recording:
    """Read an audio file with any sample rate and number of channels.

    Parameters
    ----------
    path : path
    max_seconds : float
        Maximum duration, seconds; checked by the header if it has a duration, and while reading.

    Raises
    ------
    AudioError
        If it is damaged or cut off, too long, or has non-finite samples.
    """
    reader = AudioReader(path)
    try:
        _check_length(reader.header_duration, max_seconds)
        recording = _from_blocks(_limited(reader, reader.sample_rate, max_seconds), reader.sample_rate)
    except AudioError as error:
        msg = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
        raise AudioError(msg) from error
    return replace(recording, warnings=(*reader.warnings, *recording.warnings))


def _limited(blocks: Iterable[NDArray[Any]], sample_rate: int, max_seconds: float) -> Iterator[NDArray[Any]]:
    n_samples = 0
    for block in blocks:
        n_samples += block.shape[1]
        _check_length(n_samples / sample_rate, max_seconds)
        yield block


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        limit = f"{max_seconds / 60:g} minutes" if max_seconds >= 60 else f"{max_seconds:g} seconds"
        msg = f"it is longer than {limit}"
        raise AudioError(msg)


def as_recording(audio: Any, sample_rate: int) -> Recording:
    """Make a recording of an array.

    Parameters
    ----------
    audio : array_like, shape (sample,) or (channel, sample)
        Floating point, full scale at 1.
    sample_rate : int
        Hz, 4000 to 768000.

    Raises
    ------
    AudioError
        For another shape or type, an empty array, or non-finite samples.
    """
    array = np.asarray(audio)
    if not np.issubdtype(array.dtype, np.floating):
        msg = f"audio must be floating point with full scale at 1, got {array.dtype}; divide 16-bit samples by 32768"
        raise AudioError(msg)
    if array.ndim not in (1, 2):
        msg = f"audio must have shape (sample,) or (channel, sample), got {array.shape}"
        raise AudioError(msg)
    channels = array[np.newaxis] if array.ndim == 1 else array
    if channels.shape[0] > max(1, channels.shape[1]):
        msg = f"audio must have shape (channel, sample), got {array.shape}; pass audio.T"
        raise AudioError(msg)
    if channels.size == 0:
        msg = f"audio is empty, got shape {array.shape}"
        raise AudioError(msg)
    check_format(sample_rate, channels.shape[0])
    starts = range(0, channels.shape[1], BLOCK_SAMPLES)
    return _from_blocks((channels[:, start : start + BLOCK_SAMPLES] for start in starts), int(sample_rate))


@dataclass
class _Statistics:
    """Statistics of the blocks read so far."""

    n_samples: int = 0
    peak: float = 0.0
    n_clipped: float = 0.0
    energy: float = 0.0
    mono_energy: float = 0.0

    def mix(self, blocks: Iterable[NDArray[Any]], sample_rate: int) -> Iterator[NDArray[np.float32]]:
        """Average the channels of each block, and update the statistics."""
        for block in blocks:
            peak = float(np.abs(block).max(initial=0.0))
            if not np.isfinite(peak):
                bad = int(np.argmin(np.isfinite(block).all(axis=0)))
                where = self.n_samples + bad
                msg = f"sample {where} ({where / sample_rate:.3f} s) is not a finite number"
                raise AudioError(msg)
            mono = np.asarray(block.mean(axis=0), dtype=np.float32)
            self.peak = max(self.peak, peak)
            if peak >= FULL_SCALE:
                self.n_clipped += _count_flat_tops(block) / block.shape[0]
            self.energy += float(np.vdot(block, block)) / block.shape[0]
            self.mono_energy += float(np.vdot(mono, mono))
            self.n_samples += block.shape[1]
            yield mono

    def describe_problems(self, duration: float) -> tuple[str, ...]:
        """List the problems of a recording of ``duration`` seconds."""
        if self.peak < SILENCE:
            return ("the recording is silent",)
        found = []
        if duration < MIN_SECONDS:
            found.append(f"{duration:.2f} s is too short for a note")
        clipped = self.n_clipped / self.n_samples
        if clipped > 1e-3:
            found.append(f"clipped: {100 * clipped:.1f} % of the samples are cut at full scale; notes may suffer")
        if self.mono_energy < 0.01 * self.energy:
            found.append("the channels cancel each other when mixed; convert one of them alone")
        return tuple(found)


def _count_flat_tops(block: NDArray[Any]) -> int:
    """Count samples at full scale that equal both neighbours; unclipped crests are not flat."""
    middle = block[:, 1:-1]
    flat = (middle == block[:, :-2]) & (middle == block[:, 2:]) & (np.abs(middle) >= FULL_SCALE)
    return int(np.count_nonzero(flat))


def _from_blocks(blocks: Iterable[NDArray[Any]], sample_rate: int) -> Recording:
    statistics = _Statistics()
    mixed = statistics.mix(blocks, sample_rate)
    voice = np.concatenate(list(resample_blocks(mixed, sample_rate, VOICE_STFT.sample_rate)))
    shortest = seconds_to_samples(MIN_SECONDS, VOICE_STFT.sample_rate)
    if voice.size < shortest:  # no special cases for tiny inputs later
        voice = np.pad(voice, (0, shortest - voice.size))
    return Recording(
        voice, statistics.n_samples, sample_rate, statistics.describe_problems(statistics.n_samples / sample_rate)
    )
