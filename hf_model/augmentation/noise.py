"""Synthetic noises without notes: hiss, hum, street, fan, rain, typing, distant talk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.config import check_choice, check_range
from hf_model.singer.voice import VOWELS

Sound = NDArray[np.float32]

RATE = VOICE_STFT.sample_rate
"""Hz."""

BENCH_SEED = 1_000_000
"""Seeds from here on are reserved for benchmarks; training draws smaller ones."""

MIN_LEVEL, MAX_LEVEL = -60.0, -25.0
"""RMS level, dB relative to full scale; drawn between them from the seed."""


def noise(kind: str, seconds: float, seed: int) -> Sound:
    """Generate a noise without a melody.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    seconds : float
        0.05 to 36,000.
    seed : int
        Determines every detail; the same seed gives the same sound.

    Returns
    -------
    ndarray, shape (sample,)
        float32 at 16 kHz in [-1, 1]; except for silence and dither, between ``MIN_LEVEL`` and ``MAX_LEVEL``.
    """
    check_choice("kind", kind, KINDS)
    check_range("seconds", seconds, 0.05, 36000.0)
    rng = np.random.default_rng([seed, *kind.encode()])
    sound = _MAKERS[kind](round(seconds * RATE), rng)
    if kind in ("silence", "dither"):
        return sound
    level = 10 ** (rng.uniform(MIN_LEVEL, MAX_LEVEL) / 20)
    sound *= min(level / _rms(sound), 0.99 / float(np.abs(sound).max()))
    return sound


def _silence(n: int, _: Generator) -> Sound:
    return np.zeros(n, dtype=np.float32)


def _dither(n: int, rng: Generator) -> Sound:
    """Triangular dither of one 16-bit step, rounded, as in a 16-bit file of silence."""
    steps = np.rint(rng.random(n, dtype=np.float32) - rng.random(n, dtype=np.float32))
    return np.asarray(steps / 32768, dtype=np.float32)


def _hiss(n: int, rng: Generator) -> Sound:
    """Microphone and room noise: from nearly white to steeper than pink."""
    return _coloured(n, rng, rng.uniform(0.2, 1.6), rng.uniform(-8, 8, 6))


def _hum(n: int, rng: Generator) -> Sound:
    """Mains hum at 50 or 60 Hz: from a sine to a buzz, with or without hiss."""
    mains = float(rng.choice([50.0, 60.0])) * (1 + rng.normal(0, 3e-4))
    wander = _swell(n, rng, 0.1, 1.0) * 2e-4
    phase = 2 * np.pi * np.cumsum(mains / RATE * (1 + wander), dtype=np.float64)
    fall, odd_only, n_partials = rng.uniform(0.3, 2.5), rng.random() < 0.3, int(rng.integers(1, 40))
    sound = np.zeros(n, dtype=np.float32)
    for k in range(1, n_partials + 1, 2 if odd_only else 1):
        strength = k**-fall * 10 ** (rng.normal(0, 5) / 20)
        sound += strength * np.sin(np.float32(np.mod(k * phase + rng.uniform(0, 6.28), 2 * np.pi)))
    sound /= _rms(sound)
    if rng.random() < 0.7:
        sound += 10 ** (rng.uniform(-40, 0) / 20) * _unit(_hiss(n, rng))
    return sound


def _fan(n: int, rng: Generator) -> Sound:
    """Air noise with weak harmonics of blades and motor."""
    sound = _unit(_coloured(n, rng, rng.uniform(0.5, 1.8), rng.uniform(-8, 8, 6)))
    sound *= 10 ** (rng.uniform(0, 1.5) * _swell(n, rng, 1.0, 1.0) / 20)
    for hz, weight in ((rng.uniform(15, 60) * rng.integers(3, 9), -14.0), (rng.uniform(80, 1200), -22.0)):
        phase = 2 * np.pi * np.cumsum(hz / RATE * (1 + 3e-3 * _swell(n, rng, 0.3, 1.0)), dtype=np.float64)
        for k in range(1, int(rng.integers(2, 7))):
            strength = 10 ** ((weight + rng.normal(0, 5)) / 20) / k
            sound += strength * np.sin(np.float32(np.mod(k * phase, 2 * np.pi)))
    return sound


def _rain(n: int, rng: Generator) -> Sound:
    """Many drops, and a few resonant ones."""
    drops = np.zeros(n, dtype=np.float32)
    hits = rng.integers(0, n, max(1, int(n / RATE * rng.uniform(200, 3000))))
    np.add.at(drops, hits, rng.lognormal(0, 1, len(hits)).astype(np.float32))
    sound = _unit(_filtered(drops, _colour(n, rng.uniform(-0.5, 0.5), rng.uniform(-8, 8, 6))))
    sound += rng.uniform(0.2, 1.0) * _unit(_coloured(n, rng, rng.uniform(0.0, 1.0), rng.uniform(-6, 6, 6)))
    for at in _times(n, rng, rng.uniform(0.0, 4.0)):
        _add(sound, at, rng.uniform(0.3, 3.0) * _ring(rng.uniform(300, 2500), rng.uniform(0.005, 0.03)))
    return sound


def _typing(n: int, rng: Generator) -> Sound:
    """Bursts of key presses and releases; the space bar is the loudest."""
    room = _unit(_hiss(n, rng)) * 10 ** (rng.uniform(-40, -22) / 20)
    body, top = rng.uniform(120, 400), rng.uniform(1500, 4500)
    for start, stop in _spans(n, rng, 1.0, 8.0, 0.2, 4.0):
        at = start
        while at < stop:
            size = rng.lognormal(0, 0.3) * (2.0 if rng.random() < 0.15 else 1.0)
            for delay, strength in ((0, 1.0), (int(RATE * rng.uniform(0.05, 0.13)), 0.4)):
                click = 0.4 * _ring(top * rng.uniform(0.8, 1.25), 0.003) + _ring(body * rng.uniform(0.9, 1.1), 0.008)
                click[:160] += 0.5 * rng.standard_normal(160) * np.exp(-np.arange(160) / 30)
                _add(room, at + delay, size * strength * click)
            at += int(RATE * rng.gamma(4.0, 0.04))
    return room


def _wind(n: int, rng: Generator) -> Sound:
    """Gusts in a microphone: low-frequency noise that is brighter when stronger."""
    gust = 10 ** (_swell(n, rng, rng.uniform(0.2, 1.0), rng.uniform(4, 10)) / 20)
    deep = _unit(_coloured(n, rng, rng.uniform(1.5, 3.0), np.zeros(2)))
    bright = _unit(_coloured(n, rng, rng.uniform(0.5, 1.2), np.array([0, 0, -6, -12])))
    return np.asarray(deep * gust + 0.15 * bright * gust**2, dtype=np.float32)


def _birds(n: int, rng: Generator) -> Sound:
    """Short calls above 2 kHz over quiet hiss."""
    sound = _unit(_hiss(n, rng)) * 10 ** (rng.uniform(-30, -10) / 20)
    for start, stop in _spans(n, rng, 0.5, 4.0, 0.5, 8.0):
        low, high, length = rng.uniform(2000, 4000), rng.uniform(3000, 7000), rng.uniform(0.04, 0.25)
        size, trill, at = rng.uniform(0.2, 1.0), rng.uniform(0, 40), start
        while at < stop:
            t = np.arange(int(length * RATE)) / RATE
            hz = low + (high - low) * t / length + 300 * np.sin(2 * np.pi * trill * t)
            _add(sound, at, size * np.sin(2 * np.pi * np.cumsum(hz) / RATE) * np.sin(np.pi * t / length) ** 2)
            at += int(RATE * (length + rng.uniform(0.03, 0.3)))
    return sound


def _talk(n: int, rng: Generator) -> Sound:
    """One to four distant speakers with reverberation and noise."""
    sound = np.zeros(n, dtype=np.float32)
    for _ in range(int(rng.integers(1, 5))):
        height, size, strength = rng.uniform(80, 260), rng.uniform(0.95, 1.3), 10 ** (rng.uniform(-12, 0) / 20)
        tail = rng.standard_normal(int(RATE * rng.uniform(0.1, 0.5)))
        tail *= np.exp(-6.9 * np.arange(tail.size) / tail.size) * rng.uniform(0.02, 0.12)
        tail[0] = 1.0
        for start, stop in _spans(n, rng, 1.0, 5.0, 2.0, 12.0):
            _add(sound, start, strength * _speech((stop - start) / RATE, height, size, tail, rng))
    return sound + _unit(_hiss(n, rng)) * max(_rms(sound), 1e-3) * 10 ** (rng.uniform(-25, 0) / 20)


def _street(n: int, rng: Generator) -> Sound:
    """Traffic, steps, wind, talk and birds at random levels."""
    sound = _unit(_coloured(n, rng, 2.0, rng.uniform(-6, 6, 6)))
    sound *= 10 ** (_swell(n, rng, 0.1, 3.0) / 20)
    for at in _times(n, rng, rng.uniform(0.03, 0.25)):
        _add(sound, at, rng.uniform(0.3, 4.0) * _car(rng))
    for start, stop in _spans(n, rng, 3.0, 15.0, 4.0, 20.0):
        size, pace = rng.uniform(0.3, 2.0), rng.uniform(0.45, 0.65)
        step = rng.standard_normal(1600) * np.exp(-np.arange(1600) / rng.uniform(60, 300))
        step += _ring(rng.uniform(80, 250), 0.02)[:1600]
        for at in range(start, stop, int(RATE * pace)):
            _add(sound, at + int(rng.normal(0, 200)), size * rng.uniform(0.6, 1.2) * step)
    for maker, max_db in ((_wind, 3.0), (_talk, -3.0), (_birds, -6.0)):
        if rng.random() < 0.6:
            sound += 10 ** (rng.uniform(max_db - 18, max_db) / 20) * _unit(maker(n, rng))
    return sound


_MAKERS: dict[str, Callable[[int, Generator], Sound]] = {
    "silence": _silence,
    "dither": _dither,
    "hiss": _hiss,
    "hum": _hum,
    "street": _street,
    "talk": _talk,
    "wind": _wind,
    "fan": _fan,
    "rain": _rain,
    "typing": _typing,
    "birds": _birds,
}

KINDS = tuple(_MAKERS)
"""Kinds of noise."""


def _car(rng: Generator) -> NDArray[np.float64]:
    """Generate a passing car: tyre noise that is brighter when near, and an engine with a falling pitch."""
    n = int(RATE * rng.uniform(3.0, 10.0))
    t = np.linspace(-1, 1, n)
    near = 1 / (1 + (t / rng.uniform(0.1, 0.4)) ** 2) * (1 - t**2)
    tyres = _unit(_coloured(n, rng, 1.0, rng.uniform(-6, 6, 6))) * near
    tyres += 0.5 * _unit(_coloured(n, rng, 0.2, rng.uniform(-6, 6, 6))) * near**3
    speed = rng.uniform(0.01, 0.05)
    firing = rng.uniform(25, 110) * (1 - speed * np.tanh(t / 0.1)) * np.exp(rng.normal(0, 0.1) * t)
    phase = 2 * np.pi * np.cumsum(firing) / RATE
    engine = np.sum([rng.uniform(0, 1) / k * np.sin(k * phase + rng.uniform(0, 6.28)) for k in (0.5, 1, 2, 3, 4)], 0)
    return np.asarray(tyres + rng.uniform(0.0, 0.8) * engine * near)


def _speech(seconds: float, height: float, size: float, tail: NDArray[np.float64], rng: Generator) -> Sound:
    """Unintelligible speech: gliding syllables of vowels and noise; ``height`` in Hz, ``size`` scales the formants."""
    n = int(seconds * RATE)
    edges = np.cumsum(rng.uniform(0.09, 0.28, int(seconds / 0.09) + 2)) * RATE
    count, at = len(edges), np.arange(n)
    fall = np.exp(-rng.uniform(0.1, 0.5) * edges / n)
    f0 = np.interp(at, edges, height * fall * 2 ** (rng.normal(0, 2.0, count) / 12))
    pulses = np.diff(np.floor(np.cumsum(f0 * (1 + 0.02 * rng.standard_normal(n))) / RATE), prepend=0)
    hop, n_fft = 128, 256
    frames = np.arange(0, n + n_fft, hop)
    vowels = np.array(list(VOWELS.values()))[rng.integers(len(VOWELS), size=count)] * size
    hz = np.linspace(0, RATE / 2, n_fft // 2 + 1)
    formants = np.stack([np.interp(frames, edges, vowels[:, k]) for k in range(3)], axis=1)[:, :, None]
    gain = (1 / (1 + ((hz - formants) / (60 + 0.06 * formants)) ** 2)).sum(1) / (1 + (hz / 800) ** 2) ** 0.5
    syllable = np.searchsorted(edges, frames).clip(0, count - 1)
    since = (frames - np.concatenate([[0], edges])[syllable]) / RATE
    voiced = (
        np.clip(since / 0.03 - rng.choice([0.0, 2.0], count)[syllable], 0, 1) * rng.uniform(0.3, 1, count)[syllable]
    )
    breath = np.where(since < 0.07, rng.choice([0.0, 0.0, 0.05, 0.15], count)[syllable], 0.003)
    window = np.sqrt(np.hanning(n_fft + 1)[:n_fft]).astype(np.float32)
    source = np.pad(pulses, (n_fft, 2 * n_fft)).astype(np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(source, n_fft)[::hop][: len(frames)] * window
    spectrum = np.fft.rfft(cut, axis=1) * (gain * voiced[:, None])
    hissing = (hz > rng.uniform(1500, 4000, count)[syllable][:, None]) * breath[:, None]
    spectrum += hissing * np.fft.rfft(rng.standard_normal(cut.shape, dtype=np.float32) * window, axis=1)
    parts = np.fft.irfft(spectrum, n_fft, axis=1) * window
    joined = np.zeros((len(frames) + 1) * hop)
    joined[:-hop] += parts[:, :hop].ravel()
    joined[hop:] += parts[:, hop:].ravel()
    size_fft = _fast_length(joined.size + tail.size)
    wet = np.fft.irfft(np.fft.rfft(joined, size_fft) * np.fft.rfft(tail, size_fft), size_fft)
    return _unit(wet[n_fft : n_fft + n + tail.size].astype(np.float32))


def _ring(hz: float, decay: float) -> NDArray[np.float64]:
    """Decaying sine of 0.1 s; ``decay`` in seconds to 1/e."""
    t = np.arange(RATE // 10) / RATE
    return np.asarray(np.sin(2 * np.pi * hz * t) * np.exp(-t / decay))


def _coloured(n: int, rng: Generator, slope: float, knots: NDArray[np.float64]) -> Sound:
    """Noise with power proportional to 1 / frequency**slope, through a smooth equaliser (knots in dB)."""
    n_fft = _fast_length(n)
    bins = n_fft // 2 + 1
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    return np.asarray(np.fft.irfft(spectrum * _colour(n, slope, knots), n_fft)[:n], dtype=np.float32)


def _colour(n: int, slope: float, knots: NDArray[np.float64]) -> Sound:
    """Gain of each bin of :func:`_coloured`; rolls off below 20 Hz."""
    bins = _fast_length(n) // 2 + 1
    hz = np.geomspace(1.0, RATE / 2, 400)
    decibels = -10 * slope * np.log10(np.maximum(hz, 20.0)) + np.minimum(0.0, 24 * np.log2(hz / 20.0))
    decibels += np.interp(np.sqrt(hz), np.linspace(0, np.sqrt(RATE / 2), len(knots)), knots)
    gain = np.interp(np.linspace(0, RATE / 2, bins), hz, 10 ** (decibels / 20))
    return np.asarray(gain, dtype=np.float32)


def _filtered(sound: Sound, gain: Sound) -> Sound:
    n_fft = _fast_length(sound.size)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, n_fft) * gain, n_fft)[: sound.size], dtype=np.float32)


def _fast_length(n: int) -> int:
    """Return the next power of two."""
    return 1 << (n - 1).bit_length()


def _swell(n: int, rng: Generator, hz: float, spread: float) -> Sound:
    """Slow random variation: normal values at ``hz`` per second, linearly interpolated."""
    step = RATE / hz
    values = rng.normal(0, spread, int(n / step) + 3)
    return np.interp(np.arange(n) / step + rng.random(), np.arange(len(values)), values).astype(np.float32)


def _times(n: int, rng: Generator, rate: float) -> Iterator[int]:
    """Draw the sample positions of random events, ``rate`` per second on average."""
    yield from np.sort(rng.integers(-2 * RATE, n, rng.poisson(rate * (n / RATE + 2)))).tolist()


def _spans(
    n: int, rng: Generator, min_length: float, max_length: float, min_pause: float, max_pause: float
) -> Iterator[tuple[int, int]]:
    """Draw spans (start, stop) in samples; lengths and pauses between them are in seconds."""
    at = -int(RATE * rng.uniform(0, max_length))
    while at < n:
        stop = at + int(RATE * rng.uniform(min_length, max_length))
        if stop > 0:
            yield at, stop
        at = stop + int(RATE * rng.uniform(min_pause, max_pause))


def _add(sound: Sound, at: int, part: NDArray[np.float64] | Sound) -> None:
    """Add a part at a sample position, cut to the sound."""
    first, last = max(at, 0), min(at + part.size, sound.size)
    if first < last:
        sound[first:last] += part[first - at : last - at]


def _rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound)) + 1e-20))


def _unit(sound: Sound) -> Sound:
    return np.asarray(sound / _rms(sound), dtype=np.float32)
