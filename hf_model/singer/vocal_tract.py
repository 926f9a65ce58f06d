"""Source-filter synthesis: glottal pulses and breath through time-varying formants."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from hf_model.singer.voice import Voice

CONTROL_RATE = 200.0
"""Control frames a second."""

NASAL_POLE = 270.0
"""Hz; the nasal resonance. In oral sounds an antiformant of the same frequency cancels it."""

_KERNEL_HALF = 8
_KERNEL_PHASES = 64


@dataclass(frozen=True)
class Noise:
    """One burst of consonant noise.

    Attributes
    ----------
    start, end : float
        Seconds.
    centre, width : float
        Hz.
    level : float
        Linear, relative to a vowel of strength 1.
    attack : float
        Fraction of the duration of the attack.
    """

    start: float
    end: float
    centre: float
    width: float
    level: float
    attack: float = 0.2


@dataclass
class Controls:
    """Control curves of the synthesis, at ``CONTROL_RATE``.

    Attributes
    ----------
    pitch : ndarray, shape (frame,)
        MIDI number; meaningless where ``voice`` is 0.
    voice : ndarray, shape (frame,)
        Strength of the glottal pulses, linear.
    breath : ndarray, shape (frame,)
        Strength of aspiration noise, linear.
    formants : ndarray, shape (frame, 8)
        Hz.
    nasal_zero : ndarray, shape (frame,)
        Frequency of the antiformant, Hz; equal to the nasal pole in oral sounds.
    tilt : ndarray, shape (frame,)
        Corner frequency of the glottal spectrum, Hz; low with a closed mouth.
    creak : ndarray, shape (frame,)
        Attenuation of every second pulse, 0-1.
    noises : list of Noise
    """

    pitch: NDArray[np.float64]
    voice: NDArray[np.float64]
    breath: NDArray[np.float64]
    formants: NDArray[np.float64]
    nasal_zero: NDArray[np.float64]
    tilt: NDArray[np.float64]
    creak: NDArray[np.float64]
    noises: list[Noise] = field(default_factory=list)

    @property
    def n_frames(self) -> int:
        """Control frames."""
        return len(self.pitch)


def frames_between(start: float, end: float, n_frames: int) -> slice:
    """Control frames from ``start`` to before ``end`` (seconds), inside 0 to ``n_frames``."""
    first, last = (min(max(0, int(np.ceil(time * CONTROL_RATE))), n_frames) for time in (start, min(end, 1e6)))
    return slice(first, max(first, last))


def render(controls: Controls, voice: Voice, sample_rate: int, n_samples: int, rng: Generator) -> NDArray[np.float64]:
    """Synthesize the audio.

    Returns
    -------
    ndarray, shape (n_samples,)
        Not normalised.
    """
    times = np.arange(n_samples) / sample_rate
    frame_times = np.arange(controls.n_frames) / CONTROL_RATE
    fine, cycles = _cycles(controls, n_seconds=n_samples / sample_rate)
    if voice.kind == "whistle":
        phase = 2.0 * np.pi * np.interp(times, fine, cycles)
        octave = 10.0 ** rng.uniform(-3.0, -1.2)
        source = (
            0.1 * (np.sin(phase) + octave * np.sin(2.0 * phase + 1.0)) * np.interp(times, frame_times, controls.voice)
        )
    else:
        source = _pulses(controls, fine, cycles, voice, sample_rate, n_samples, rng)
    swell = 1.0 + voice.breath_pulse * np.cos(2.0 * np.pi * np.interp(times, fine, cycles))
    aspiration = 0.1 * rng.standard_normal(n_samples) * swell * np.interp(times, frame_times, controls.breath)
    audio = _filtered(source, aspiration, controls, voice, sample_rate)
    for noise in controls.noises:
        _add_noise(audio, noise, sample_rate, rng)
    return audio


def _cycles(controls: Controls, n_seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (s) on a fine grid, and the phase of the glottis there in cycles."""
    fine_rate = 5.0 * CONTROL_RATE
    fine = np.arange(int(n_seconds * fine_rate) + 2) / fine_rate
    pitch = np.interp(fine, np.arange(controls.n_frames) / CONTROL_RATE, controls.pitch)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    return fine, np.concatenate([[0.0], np.cumsum(0.5 * (f0[1:] + f0[:-1])) / fine_rate])


def _pulses(
    controls: Controls,
    fine: NDArray[np.float64],
    cycles: NDArray[np.float64],
    voice: Voice,
    sample_rate: int,
    n_samples: int,
    rng: Generator,
) -> NDArray[np.float64]:
    """Place band-limited glottal pulses where the phase is a whole number of cycles."""
    frame_times = np.arange(controls.n_frames) / CONTROL_RATE
    whole = np.arange(1, int(cycles[-1]) + 1)
    when = np.interp(whole, cycles, fine)
    rate = 1.0 / np.gradient(when) if len(when) > 1 else np.full(len(when), 100.0)
    when = when + voice.jitter * rng.standard_normal(len(when)) / rate
    strength = np.interp(when, frame_times, controls.voice) * np.sqrt(sample_rate / 100.0 / rate)
    strength *= np.maximum(0.0, 1.0 + voice.shimmer * rng.standard_normal(len(when)))
    creak = np.interp(when, frame_times, controls.creak)
    strength *= 1.0 - creak * (whole % 2)
    keep = strength > 1e-6
    return _scatter(when[keep] * sample_rate, strength[keep], n_samples)


def _scatter(positions: NDArray[np.float64], strengths: NDArray[np.float64], n_samples: int) -> NDArray[np.float64]:
    """Sum windowed sincs at fractional sample positions."""
    offsets = np.arange(-_KERNEL_HALF + 1, _KERNEL_HALF + 1)
    phases = np.arange(_KERNEL_PHASES + 1)[:, None] / _KERNEL_PHASES
    distance = offsets[None, :] - phases
    table = 0.95 * np.sinc(0.95 * distance) * np.cos(0.5 * np.pi * distance / (_KERNEL_HALF + 0.5)) ** 2
    whole = np.floor(positions).astype(np.int64)
    phase = np.rint((positions - whole) * _KERNEL_PHASES).astype(np.int64)
    where = whole[:, None] + offsets[None, :]
    values = strengths[:, None] * table[phase]
    inside = (where >= 0) & (where < n_samples)
    summed = np.bincount(where[inside], weights=values[inside], minlength=n_samples)
    return np.asarray(summed[:n_samples], dtype=np.float64)


def _filtered(
    pulses: NDArray[np.float64],
    aspiration: NDArray[np.float64],
    controls: Controls,
    voice: Voice,
    sample_rate: int,
) -> NDArray[np.float64]:
    """Filter voice and breath with the time-varying vocal tract: overlap-add of windowed blocks of 32 ms."""
    n_samples = len(pulses)
    size = 1 << round(np.log2(0.032 * sample_rate))
    hop = size // 2
    n_blocks = n_samples // hop + 2
    window = signal.windows.hann(size, sym=False)
    shape = (n_blocks, size)

    def blocks(audio: NDArray[np.float64]) -> NDArray[np.complex128]:
        padded = np.zeros((n_blocks + 1) * hop)
        padded[hop : hop + n_samples] = audio
        strides = (hop * padded.strides[0], padded.strides[0])
        return np.fft.rfft(np.lib.stride_tricks.as_strided(padded, shape, strides) * window, n=2 * size)

    centres = np.arange(n_blocks) * hop / sample_rate
    index = np.minimum(np.rint(centres * CONTROL_RATE).astype(np.int64), controls.n_frames - 1)
    tract, glottis = _responses(controls, voice, index, sample_rate, 2 * size)
    whistled = voice.kind == "whistle"
    voiced = blocks(pulses) if whistled else blocks(pulses) * glottis * tract
    hz = np.fft.rfftfreq(2 * size, 1.0 / sample_rate)
    spectrum = voiced + blocks(aspiration) * tract * np.sqrt(hz / (hz + 1500.0))
    parts = np.fft.irfft(spectrum, n=2 * size)
    total = np.zeros((n_blocks + 4) * hop)
    for quarter in range(4):
        segment = parts[:, quarter * hop : (quarter + 1) * hop].ravel()
        total[quarter * hop : quarter * hop + len(segment)] += segment
    return total[hop : hop + n_samples]


def _responses(
    controls: Controls, voice: Voice, index: NDArray[np.int64], sample_rate: int, n_fft: int
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Frequency responses (block, bin) of the vocal tract and of the glottis."""
    formants = controls.formants[index]
    n_blocks = len(index)
    bandwidths = np.broadcast_to(voice.bandwidths, formants.shape)
    if voice.kind == "whistle":
        formants = 440.0 * 2.0 ** ((controls.pitch[index, None] - 69.0) / 12.0)
        bandwidths = np.full_like(formants, 60.0)
    else:
        nasal_pole = np.full((n_blocks, 1), NASAL_POLE)
        formants = np.concatenate([formants, nasal_pole], axis=1)
        bandwidths = np.concatenate([bandwidths, np.full((n_blocks, 1), 100.0)], axis=1)
    below = formants < 0.48 * sample_rate
    inverse: NDArray[np.complex128] = np.ones((n_blocks, n_fft // 2 + 1), dtype=np.complex128)
    gain = np.ones(n_blocks)
    for first in range(0, formants.shape[1], 3):  # polynomials of higher order lose precision near 0 Hz
        poles = np.ones((n_blocks, 1))
        for k in range(first, min(first + 3, formants.shape[1])):
            section = _section(formants[:, k], bandwidths[:, k], sample_rate)
            section[~below[:, k], 1:] = 0.0
            poles = _product(poles, section)
        inverse *= np.fft.rfft(poles, n=n_fft)
        gain *= poles.sum(axis=1)
    tract = 1.0 / inverse
    if voice.kind == "whistle":
        return tract / np.abs(tract).max(axis=1, keepdims=True), np.ones_like(tract)
    zeros = _section(controls.nasal_zero[index], np.full(n_blocks, 100.0), sample_rate)
    tract *= np.fft.rfft(zeros, n=n_fft) * (gain / zeros.sum(axis=1))[:, None]
    f0 = 440.0 * 2.0 ** ((controls.pitch[index] - 69.0) / 12.0)
    hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)[None, :]
    corner = np.maximum(controls.tilt[index], 150.0)[:, None]
    radiated = 1.0 / (1.0 + hz / (1.2 * f0[:, None])) / np.sqrt(1.0 + (hz / corner) ** 2)
    boost = 10.0 ** (voice.glottal_boost_db / 20.0) - 1.0
    radiated *= 1.0 + boost * np.exp(-0.5 * ((hz - f0[:, None]) / (0.4 * f0[:, None])) ** 2)
    radiated *= hz**2 / (hz**2 + 60.0**2)
    tract *= _level_gain(tract, radiated, f0, sample_rate, n_fft)[:, None]
    return tract, radiated.astype(np.complex128)


def _level_gain(
    tract: NDArray[np.complex128], glottis: NDArray[np.float64], f0: NDArray[np.float64], sample_rate: int, n_fft: int
) -> NDArray[np.float64]:
    """Gain (block,) that reduces the level changes of harmonics at formants to a third, in dB, as singers do."""
    harmonics = np.rint(f0[:, None] * np.arange(1, 17) * n_fft / sample_rate).astype(np.int64)
    harmonics = np.minimum(harmonics, tract.shape[1] - 1)
    magnitude = np.abs(np.take_along_axis(tract, harmonics, axis=1)) * np.take_along_axis(glottis, harmonics, axis=1)
    power = np.sum(magnitude**2, axis=1)
    return np.asarray((power / np.median(power)) ** -0.35)


def _section(centre: NDArray[np.float64], width: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Second-order polynomial (block, 3) in z^-1 with a resonance at ``centre`` of bandwidth ``width``, Hz."""
    radius = np.exp(-np.pi * width / sample_rate)
    angle = 2.0 * np.pi * centre / sample_rate
    return np.stack([np.ones_like(radius), -2.0 * radius * np.cos(angle), radius**2], axis=1)


def _product(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply polynomials row by row: (block, n) and (block, 3) give (block, n + 2)."""
    result = np.zeros((len(first), first.shape[1] + 2))
    for k in range(3):
        result[:, k : k + first.shape[1]] += first * second[:, k : k + 1]
    return result


def _add_noise(audio: NDArray[np.float64], noise: Noise, sample_rate: int, rng: Generator) -> None:
    """Add one burst of filtered noise in place."""
    start = max(0, round(noise.start * sample_rate))
    n_samples = min(len(audio), round(noise.end * sample_rate)) - start
    if n_samples < 8:
        return
    centre = min(noise.centre, 0.45 * sample_rate)
    poles = _section(np.array([centre]), np.array([noise.width]), sample_rate)[0]
    shaped = signal.lfilter([1.0, 0.0, -1.0], poles, rng.standard_normal(n_samples))
    shaped /= np.sqrt(np.mean(shaped**2)) + 1e-12
    growth = np.linspace(0.0, 1.0, n_samples)
    shape = np.minimum(np.minimum(growth / max(noise.attack, 1e-3), 1.0), np.minimum((1.0 - growth) / 0.25, 1.0))
    audio[start : start + n_samples] += 0.1 * noise.level * shape * shaped
