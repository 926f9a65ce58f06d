"""A made band: kick, snare, hi-hat, bass and chords from sines and noise, with known beats."""

from __future__ import annotations

import numpy as np

RATE = 16000
PROGRESSION = ((0, False), (7, False), (9, True), (5, False))
"""C, G, A minor, F."""


def _add(audio, second, sound):
    first = round(second * RATE)
    last = min(len(audio), first + len(sound))
    if 0 <= first < last:
        audio[first:last] += sound[: last - first]


def _tone(midi, seconds, level):
    time = np.arange(round(seconds * RATE)) / RATE
    partials = sum(np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * k * time) / k**2 for k in range(1, 6))
    return level * partials * np.minimum(1, time / 0.005) * np.exp(-2 * time / seconds)


def make_band(beats, beats_per_bar=4, downbeat=0, progression=PROGRESSION, tuning=0.0, has_drums=True):
    """Play a bar of each chord in turn: audio (sample,) at ``RATE``, ending with the last beat."""
    rng = np.random.default_rng(0)
    audio = 1e-3 * rng.standard_normal(round(beats[-1] * RATE) + RATE // 4)
    decay = np.exp(-np.arange(RATE // 5) / (0.03 * RATE))
    noise = rng.standard_normal(RATE // 5) * decay
    kick = np.sin(2 * np.pi * 60 * np.arange(RATE // 5) / RATE) * np.exp(-np.arange(RATE // 5) / (0.06 * RATE))
    for k in range(len(beats) - 1):
        bar, place = divmod(k - downbeat, beats_per_bar)
        root, minor = progression[bar % len(progression)]
        length = beats[k + 1] - beats[k]
        if place == 0:
            _add(audio, beats[k], _tone(36 + root + tuning, beats_per_bar * length, 0.4))
        for key in (60 + root, 64 + root - minor, 67 + root):
            _add(audio, beats[k], _tone(key + tuning, length, 0.1))
        if has_drums:
            is_kick = place == 0 or (place == 2 and beats_per_bar == 4)
            _add(audio, beats[k], 0.6 * kick if is_kick else 0.4 * noise)
            for half in (0.0, 0.5):
                _add(audio, beats[k] + half * length, 0.08 * np.diff(noise, append=0.0))
    return np.asarray(audio / np.abs(audio).max(), dtype=np.float32)
