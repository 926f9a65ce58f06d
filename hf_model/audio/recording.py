"""A recording as the program hears it: one channel at 16 kHz, and what was wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT, seconds_to_samples
from hf_model.audio.reader import BLOCK_SAMPLES, AudioError, AudioReader, check_format
from hf_model.audio.resampling import resample_blocks

SILENCE = 10 ** (-70 / 20)
"""Peak under which a recording counts as silent (-70 dB)."""

FULL_SCALE = 0.99
"""Magnitude from which equal neighbours count as clipped."""

SHORTEST = 0.1
"""Seconds under which no note fits."""


@dataclass(frozen=True)
class Recording:
    """A voice, ready to be transcribed.

    Attributes
    ----------
    voice : ndarray, shape (sample,)
        float32 at 16 kHz, the mean of the channels; at least 0.1 s, silent at the end if need be.
    n_samples, sample_rate : int
        Length in samples and rate in Hz of the original.
    warnings : tuple of str
        What a musician should know about the recording.
    """

    voice: NDArray[np.float32]
    n_samples: int
    sample_rate: int
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_samples / self.sample_rate


def read_recording(path: Path | str, longest: float = math.inf) -> Recording:
    """Read a file of any rate and channel count, block by block.

    Parameters
    ----------
    path : path
    longest : float
        Seconds; a longer recording is refused, by its header where that tells, and otherwise as soon as it shows.

    Raises
    ------
    AudioError
        If it cannot be read to its end, is too long, or holds values that are not numbers.
    """
    reader = AudioReader(path)
    try:
        _check_length(reader.promised, longest)
        return _listen(_measured(reader, reader.sample_rate, longest), reader.sample_rate)
    except AudioError as error:
        msg = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
        raise AudioError(msg) from error


def _measured(blocks: Iterable[NDArray[Any]], sample_rate: int, longest: float) -> Iterator[NDArray[Any]]:
    n_samples = 0
    for block in blocks:
        n_samples += block.shape[1]
        _check_length(n_samples / sample_rate, longest)
        yield block


def _check_length(seconds: float, longest: float) -> None:
    if seconds > longest:
        told = f"{longest / 60:g} minutes" if longest >= 60 else f"{longest:g} seconds"
        msg = f"it is longer than {told}"
        raise AudioError(msg)


def as_recording(audio: Any, sample_rate: int) -> Recording:
    """Take audio from memory.

    Parameters
    ----------
    audio : array_like, shape (sample,) or (channel, sample)
        Floating point, full scale at 1.
    sample_rate : int
        Hz, 4000 to 768000.

    Raises
    ------
    AudioError
        For another shape or type, for no samples, and for values that are not numbers.
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
    return _listen((channels[:, start : start + BLOCK_SAMPLES] for start in starts), int(sample_rate))


@dataclass
class _Meter:
    """What is measured while the blocks pass."""

    n_samples: int = 0
    peak: float = 0.0
    n_clipped: float = 0.0
    energy: float = 0.0
    mono_energy: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def mix(self, blocks: Iterable[NDArray[Any]], sample_rate: int) -> Iterator[NDArray[np.float32]]:
        """Average the channels of each block, and measure."""
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

    def judge(self, duration: float) -> tuple[str, ...]:
        """Put what was measured into words."""
        if self.peak < SILENCE:
            return ("the recording is silent",)
        found = []
        if duration < SHORTEST:
            found.append(f"{duration:.2f} s is too short for a note")
        clipped = self.n_clipped / self.n_samples
        if clipped > 1e-3:
            found.append(f"clipped: {100 * clipped:.1f} % of the samples are cut at full scale; notes may suffer")
        if self.mono_energy < 0.01 * self.energy:
            found.append("the channels cancel each other when mixed; convert one of them alone")
        return tuple(found)


def _count_flat_tops(block: NDArray[Any]) -> int:
    """Count samples at full scale that equal both the next two: a wave's own crest is never so flat."""
    middle = block[:, 1:-1]
    flat = (middle == block[:, :-2]) & (middle == block[:, 2:]) & (np.abs(middle) >= FULL_SCALE)
    return int(np.count_nonzero(flat))


def _listen(blocks: Iterable[NDArray[Any]], sample_rate: int) -> Recording:
    meter = _Meter()
    mixed = meter.mix(blocks, sample_rate)
    voice = np.concatenate(list(resample_blocks(mixed, sample_rate, VOICE_STFT.sample_rate)))
    shortest = seconds_to_samples(SHORTEST, VOICE_STFT.sample_rate)
    if voice.size < shortest:  # so that a handful of samples needs no special care later
        voice = np.pad(voice, (0, shortest - voice.size))
    return Recording(voice, meter.n_samples, sample_rate, meter.judge(meter.n_samples / sample_rate))
