"""Background sounds for augmentation: synthetic street, talk, rain and music, generated once and cut at random."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from hf_model.augmentation.noise import RATE, noise

BACKGROUNDS = ("street", "talk", "wind", "fan", "rain", "typing", "birds", "hiss", "hum", "music")
"""Kinds, drawn with equal probability."""

N_SOUNDS = 24
"""Sounds of each kind."""

SOUND_SECONDS = 12.0


@cache
def background(kind: str, number: int) -> Tensor:
    """Generate a sound of a kind, (sample,) at 16 kHz with an RMS amplitude of 1; deterministic."""
    sound = music(SOUND_SECONDS, number) if kind == "music" else noise(kind, SOUND_SECONDS, number)
    return torch.from_numpy(sound / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9))


def background_excerpts(choice: Tensor, start: Tensor, n_samples: int) -> Tensor:
    """Cut an excerpt of a background sound for each example.

    Parameters
    ----------
    choice : Tensor, shape (batch,)
        0-1: which sound.
    start : Tensor, shape (batch,)
        0-1: where in the sound, which repeats.
    n_samples : int

    Returns
    -------
    Tensor, shape (batch, n_samples)
        On the CPU; each whole sound has an RMS amplitude of 1.
    """
    rows = []
    total = len(BACKGROUNDS) * N_SOUNDS
    for chosen, begin in zip(choice.tolist(), start.tolist(), strict=True):
        kind, number = divmod(min(int(chosen * len(BACKGROUNDS) * N_SOUNDS), total - 1), N_SOUNDS)
        sound = background(BACKGROUNDS[kind], number)
        rows.append(sound.roll(-int(begin * len(sound))).repeat(1 + n_samples // len(sound))[:n_samples])
    return torch.stack(rows)


def music(seconds: float, seed: int) -> NDArray[np.float32]:
    """Generate music without a melody: chords, bass and drums on a beat; float32 (sample,) at 16 kHz."""
    rng = np.random.default_rng([seed, 0xBA2D])
    sound = np.zeros(round(seconds * RATE))
    beat = 60.0 / rng.uniform(70.0, 150.0)
    root, bright, drums = int(rng.integers(36, 48)), rng.uniform(0.3, 0.8), rng.uniform(0.0, 1.5)
    thirds = rng.integers(3, 5, size=8)
    for bar in range(int(seconds / (4 * beat)) + 1):
        low = root + int(rng.choice([0, 5, 7, 9, 2, 4]))
        third = int(thirds[(low - root) % 8])
        for step in range(4):
            at = (4 * bar + step) * beat
            if step % 2 == 0:
                _add(sound, at, _tone(low, 1.5 * beat, bright, rng))
            for key in (low + 12, low + 12 + third, low + 19):
                _add(sound, at + rng.uniform(0.0, 0.01), 0.5 * _tone(key, beat, bright, rng))
            hit = rng.standard_normal(int(0.15 * RATE)) * np.exp(-np.arange(int(0.15 * RATE)) / (rng.uniform(100, 900)))
            _add(sound, at, drums * hit * rng.uniform(0.2, 1.0))
    return sound.astype(np.float32)


def _tone(key: int, seconds: float, bright: float, rng: Generator) -> NDArray[np.float64]:
    """Generate a plucked tone: decaying partials."""
    times = np.arange(int(seconds * RATE)) / RATE
    hz = 440.0 * 2.0 ** ((key - 69) / 12.0)
    partials = np.arange(1, min(12, int(7000 / hz)) + 1)
    strengths = bright**partials * rng.lognormal(0.0, 0.4, len(partials))
    waves = np.sin(2 * np.pi * hz * partials[:, None] * times + rng.uniform(0, 6.28, (len(partials), 1)))
    fading = np.exp(-times * rng.uniform(0.5, 5.0)) * np.clip((seconds - times) / 0.02, 0.0, 1.0)
    return np.asarray((strengths[:, None] * waves).sum(0) * fading)


def _add(sound: NDArray[np.float64], at: float, part: NDArray[np.float64]) -> None:
    start = int(at * RATE)
    part = part[: max(0, len(sound) - start)]
    sound[start : start + len(part)] += part
