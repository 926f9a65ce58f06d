"""Whistling and the highest voices: tell them from other voices, and lower them into the range of the transcriber.

A whistle is one partial, and a voice above 1.3 kHz is little more. Frequency and amplitude of that partial say all
about the melody: a sine two octaves lower is made of them and transcribed like a hum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.notes.note import Note

Floats = NDArray[np.float32]

OCTAVES = 2
"""By which a whistle is lowered: 700 Hz to 4 kHz become 175 Hz to 1 kHz."""

LOWEST_HZ, HIGHEST_HZ = 600.0, 4500.0
"""Range of whistling."""

N_FFT, HOP_LENGTH = 512, 80
"""Samples of the frames in which a whistle is tracked: 32 ms, every 5 ms."""

BIN_HZ = VOICE_STFT.sample_rate / N_FFT

WIDTH = 2
"""Bins on either side of a partial that hold its energy."""

UNCLEAR, CLEAR = 0.3, 0.65
"""Share of the energy in the range of whistling that one partial has: less in noise, more in a whistle."""

BLOCK_FRAMES = 4000
"""Frames that are computed at once."""

CACHED_FRAMES = 128
"""Frames that are transformed at once: they stay in the processor's cache."""

HIGH_HZ = 1300.0
"""A tenth of a recording is above this frequency if the transcriber does better on the lowered recording."""

WHISTLED_SHARE = 0.6
"""Share of the sounding frames that are one partial in a whistled recording, at least; noise beside it included."""

_LOWEST_BIN = 5
"""Bins below (156 Hz) are left out: rumble and mains hum."""

_PURE = 0.8
"""Share of the energy of a frame, without steady noise, in the partial of a whistle."""

_FLOOR_QUANTILE, _FLOOR_FACTOR = 0.2, 3.0
"""Steady noise in a bin: a quantile of its power over time, times a factor that covers its fluctuation."""

_SOUNDING = 10.0**-2.5
"""Power of a sounding frame as a share of the loud frames' power."""

_STEADY_OCTAVES = 0.1
"""A whistle moves by less in 20 ms."""


class Partial(NamedTuple):
    """The strongest partial of each frame, all of shape (frame,).

    ``hz`` is its frequency, ``amplitude`` that of its sine, ``share`` its share of the energy in that range.
    """

    hz: Floats
    amplitude: Floats
    share: Floats


def whistled_share(excerpts: Sequence[Floats]) -> float:
    """Measure how much of a recording is whistled or sung as high as whistling.

    Parameters
    ----------
    excerpts : sequence of ndarray, shape (sample,)
        16 kHz.

    Returns
    -------
    float
        Share of the sounding time, 0 to 1; 0 if less than a tenth of it is above ``HIGH_HZ``. From ``WHISTLED_SHARE``
        on the recording should be lowered.
    """
    measured = [_whistled_frames(excerpt) for excerpt in excerpts if len(excerpt) >= N_FFT]
    sounding = sum(count for count, _ in measured)
    hz = np.concatenate([np.zeros(0), *(frequencies for _, frequencies in measured)])
    if not sounding or not hz.size or np.quantile(hz, 0.9) < HIGH_HZ:
        return 0.0
    return float(hz.size / sounding)


def transcribe_whistle(transcribe: Callable[[Floats], list[Note]], voice: Floats) -> list[Note]:
    """Transcribe whistling, or a voice as high.

    Parameters
    ----------
    transcribe : callable
        Transcribes audio (sample,) at 16 kHz into sorted notes.
    voice : ndarray, shape (sample,)
        16 kHz.

    Returns
    -------
    list of Note
        At their true pitch.
    """
    notes = transcribe(lower_whistle(voice))
    return [replace(note, pitch=min(note.pitch + 12.0 * OCTAVES, 127.0)) for note in notes]


def lower_whistle(voice: Floats) -> Floats:
    """Make a sine of a whistle, two octaves lower: (sample,) at 16 kHz to the same; silent without a clear partial."""
    hum = np.zeros(len(voice), dtype=np.float32)
    phase, first = 0.0, 0
    for partial in track_partial(voice):
        n_samples = min(len(partial.hz) * HOP_LENGTH, len(voice) - first)
        if not n_samples:
            break
        at, frames = np.arange(n_samples) / HOP_LENGTH, np.arange(len(partial.hz))
        radians = 2.0 * np.pi / VOICE_STFT.sample_rate / 2**OCTAVES
        phases = phase + radians * np.cumsum(np.interp(at, frames, partial.hz))
        clear = np.clip((partial.share - UNCLEAR) / (CLEAR - UNCLEAR), 0.0, 1.0)
        hum[first : first + n_samples] = np.interp(at, frames, clear * partial.amplitude) * np.sin(phases)
        phase, first = float(phases[-1]), first + n_samples
    return hum


def track_partial(voice: Floats) -> Iterator[Partial]:
    """Track the strongest partial of a recording (sample,), block by block; frame m is centred on sample 80 m."""
    low, high = int(LOWEST_HZ / BIN_HZ), int(HIGHEST_HZ / BIN_HZ) + 1
    for power in _power_blocks(voice, HOP_LENGTH):
        rows, peak = np.arange(len(power)), low + np.argmax(power[:, low:high], axis=1)
        below, middle, above = (np.log(power[rows, peak + step]) for step in (-1, 0, 1))
        shift = np.clip(0.5 * (below - above) / np.minimum(below - 2.0 * middle + above, -1e-6), -0.5, 0.5)
        near = _near(power, peak)
        share = near / power[:, low - WIDTH : high + WIDTH].sum(axis=1)
        amplitude = np.sqrt(near / 1.5) * 4.0 / N_FFT  # a Hann window spreads a sine over 1.5 times its peak's energy
        yield Partial((peak + shift) * np.float32(BIN_HZ), amplitude, share)


def _whistled_frames(excerpt: Floats) -> tuple[int, Floats]:
    """Count the sounding frames of an excerpt; return the frequencies of those that are one steady partial, Hz."""
    power = np.concatenate(list(_power_blocks(excerpt, 2 * HOP_LENGTH)))
    power[:, :_LOWEST_BIN] = 0.0
    rank = round(_FLOOR_QUANTILE * (len(power) - 1))
    power -= np.float32(_FLOOR_FACTOR) * np.partition(power.T, rank, axis=1)[:, rank]
    np.maximum(power, 0.0, out=power)
    low, high = int(LOWEST_HZ / BIN_HZ), int(HIGHEST_HZ / BIN_HZ) + 1
    peak = low + np.argmax(power[:, low:high], axis=1)
    total = power.sum(axis=1)
    sounding = total > max(_SOUNDING * float(np.quantile(total, 0.95)), 1e-9)
    steady = np.zeros(len(peak), dtype=bool)
    steady[1:-1] = np.abs(np.log2(peak[2:] / peak[:-2])) < _STEADY_OCTAVES
    whistled = sounding & steady & (_near(power, peak) > _PURE * total)
    return int(sounding.sum()), np.asarray(peak[whistled] * BIN_HZ, dtype=np.float32)


def _power_blocks(voice: Floats, hop_length: int) -> Iterator[Floats]:
    """Compute power spectra (frame, bin), block by block; frames are centred on multiples of ``hop_length``."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(voice, N_FFT // 2), N_FFT)[::hop_length]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    for first in range(0, len(frames), BLOCK_FRAMES):
        block = frames[first : first + BLOCK_FRAMES]
        power = np.empty((len(block), N_FFT // 2 + 1), dtype=np.float32)
        for begin in range(0, len(block), CACHED_FRAMES):
            spectrum = np.fft.rfft(block[begin : begin + CACHED_FRAMES] * window)
            power[begin : begin + CACHED_FRAMES] = np.square(spectrum.real) + np.square(spectrum.imag)
        power += np.float32(1e-12)
        yield power


def _near(power: Floats, peak: NDArray[np.int64]) -> Floats:
    """Sum the power around the peak of each frame."""
    rows = np.arange(len(power))[:, None]
    return np.asarray(power[rows, peak[:, None] + np.arange(-WIDTH, WIDTH + 1)].sum(axis=1), dtype=np.float32)
