"""Recordings as the transcriber takes them: mono at 16 kHz, with warnings about their quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT, resampled_length, seconds_to_samples
from hf_model.audio.part import Blocks, Part
from hf_model.audio.reader import BLOCK_SAMPLES, AudioError, AudioReader, check_format
from hf_model.audio.resampling import StreamResampler, resample_blocks

SILENCE = 10 ** (-70 / 20)
"""Peak below which a recording is silent (-70 dB)."""

FULL_SCALE = 0.99
"""Magnitude from which equal neighbouring samples are clipped."""

MAX_PEAK = 1e10
"""Magnitude above which samples are no sound; 32-bit integers that were taken for floats stay below."""

MIN_SECONDS = 0.1
"""Shorter recordings cannot hold a note."""


class TooLongError(AudioError):
    """A recording that is longer than allowed."""


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
    reopen : callable, optional
        Reads the original again; without it only ``voice`` is known.
    """

    voice: NDArray[np.float32]
    n_samples: int
    sample_rate: int
    warnings: tuple[str, ...] = ()
    reopen: Callable[[], Blocks] | None = field(default=None, compare=False, repr=False)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_samples / self.sample_rate

    def stereo_blocks(self, sample_rate: int = PIANO_SAMPLE_RATE) -> Iterator[NDArray[np.float32]]:
        """Read the original again in stereo: one channel is doubled, more than two are averaged.

        Yields
        ------
        ndarray, shape (2, sample)
            ``resampled_length(n_samples, self.sample_rate, sample_rate)`` samples together.
        """
        n_left = resampled_length(self.n_samples, self.sample_rate, sample_rate)
        rate = VOICE_STFT.sample_rate if self.reopen is None else self.sample_rate
        blocks = [self.voice[np.newaxis]] if self.reopen is None else self.reopen()
        for block in _stereo(blocks, rate, sample_rate):
            fitting = block[:, :n_left]
            n_left -= fitting.shape[1]
            yield fitting
        if n_left:
            yield np.zeros((2, n_left), dtype=np.float32)


def read_recording(
    path: Path | str, max_seconds: float = math.inf, *, start: float = 0.0, end: float | None = None
) -> Recording:
    """Read an audio file, or a part of it, with any sample rate and number of channels.

    Parameters
    ----------
    path : path
    max_seconds : float
        Maximum duration, seconds; checked by the header if it has a duration, and while reading.
    start, end : float
        Seconds: the part of the file to read, by default the whole; nothing after ``end`` is decoded. The part is
        ``round((end - start) * sample_rate)`` samples long, or shorter, with a warning, if the file ends before.

    Raises
    ------
    AudioError
        If it is damaged or cut off, too long, or has non-finite samples; if it ends before ``start``, or ``end`` is
        not after ``start``.
    """
    part = Part(start, end)

    def reopen() -> Blocks:
        again = AudioReader(path)
        return part.cut(again, again.sample_rate)

    reader = AudioReader(path)
    try:
        _check_length(part.length_in(reader.header_duration), max_seconds)
        blocks = part.cut(reader, reader.sample_rate)
        recording = _from_blocks(_limited(blocks, reader.sample_rate, max_seconds), reader.sample_rate)
    except AudioError as error:
        msg = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
        raise type(error)(msg) from error
    warnings = (*reader.warnings, *part.shortfall(recording.n_samples, reader.sample_rate), *recording.warnings)
    return replace(recording, warnings=warnings, reopen=reopen)


def _stereo(blocks: Blocks, sample_rate: int, new_rate: int) -> Iterator[NDArray[np.float32]]:
    """Make two channels of any number, at another rate."""
    resamplers: list[StreamResampler] = []
    for block in blocks:
        channels = block if block.shape[0] <= 2 else block.mean(axis=0, keepdims=True)
        channels = channels.astype(np.float32, copy=False)
        resamplers = resamplers or [StreamResampler(sample_rate, new_rate) for _ in channels]
        yield _pair([one.push(channel) for one, channel in zip(resamplers, channels, strict=True)])
    if resamplers:
        yield _pair([one.finish() for one in resamplers])


def _pair(channels: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack([channels[0], channels[-1]])


def _limited(blocks: Blocks, sample_rate: int, max_seconds: float) -> Iterator[NDArray[Any]]:
    n_samples = 0
    for block in blocks:
        n_samples += block.shape[1]
        _check_length(n_samples / sample_rate, max_seconds)
        yield block


def _check_length(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        units = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        size, unit = next(item for item in units if max_seconds >= 2 * item[0] or item[0] == 1)
        limit = f"{max_seconds / size:g} {unit}"
        msg = f"it is longer than {limit}"
        raise TooLongError(msg)


def as_recording(audio: Any, sample_rate: int, *, start: float = 0.0, end: float | None = None) -> Recording:
    """Make a recording of an array, or of a part of it.

    Parameters
    ----------
    audio : array_like, shape (sample,) or (channel, sample)
        Floating point, full scale at 1.
    sample_rate : int
        Hz, 4000 to 768000.
    start, end : float
        Seconds: the part, as for :func:`read_recording`.

    Raises
    ------
    AudioError
        For another shape or type, an empty array, a part outside of it, or non-finite samples.
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
    part, rate = Part(start, end), int(sample_rate)

    def reopen() -> Blocks:
        firsts = range(0, channels.shape[1], BLOCK_SAMPLES)
        return part.cut((channels[:, first : first + BLOCK_SAMPLES] for first in firsts), rate)

    recording = _from_blocks(reopen(), rate)
    warnings = (*part.shortfall(recording.n_samples, rate), *recording.warnings)
    return replace(recording, warnings=warnings, reopen=reopen)


@dataclass
class _Statistics:
    """Statistics of the blocks read so far."""

    n_samples: int = 0
    peak: float = 0.0
    n_clipped: float = 0.0
    energy: float = 0.0
    mono_energy: float = 0.0

    def mix(self, blocks: Blocks, sample_rate: int) -> Iterator[NDArray[np.float32]]:
        """Average the channels of each block, and update the statistics."""
        for block in blocks:
            peak = float(np.abs(block).max(initial=0.0))
            if not np.isfinite(peak):
                bad = int(np.argmin(np.isfinite(block).all(axis=0)))
                where = self.n_samples + bad
                msg = f"sample {where} ({where / sample_rate:.3f} s) is not a finite number"
                raise AudioError(msg)
            if peak > MAX_PEAK:
                msg = f"the samples are no sound: they reach {peak:.1e}, where full scale is 1"
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


def _from_blocks(blocks: Blocks, sample_rate: int) -> Recording:
    statistics = _Statistics()
    mixed = statistics.mix(blocks, sample_rate)
    memory = bytearray()  # grows in place: joining arrays at the end would take twice the memory
    for block in resample_blocks(mixed, sample_rate, VOICE_STFT.sample_rate):
        memory += block.astype(np.float32, copy=False).tobytes()
    voice = np.frombuffer(memory, dtype=np.float32)
    shortest = seconds_to_samples(MIN_SECONDS, VOICE_STFT.sample_rate)
    if voice.size < shortest:  # no special cases for tiny inputs later
        voice = np.pad(voice, (0, shortest - voice.size))
    return Recording(
        voice, statistics.n_samples, sample_rate, statistics.describe_problems(statistics.n_samples / sample_rate)
    )
