"""Probabilities of beats and downbeats frame by frame: a small convolutional network, evaluated in NumPy.

The network is fitted by :mod:`hf_model.training.band_fitting`.

References
----------
Davies and Böck (2019), Temporal convolutional networks for musical audio beat tracking, for dilated convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hf_model.band.spectrum import CHROMA_RATE, FRAME_RATE, BandSpectra
from hf_model.weights import WEIGHTS, read_tensors

FOLDER = WEIGHTS / "band"

Float = NDArray[np.float32]

N_FEATURES = 98
"""Level and rise of 48 mel bands, and the change of harmony in two registers."""

RISE_FRAMES = 2
NOVELTY_SECONDS = 0.8
"""Harmony before and after a frame is compared over this time."""

KERNEL = 5


@cache
def load_weights() -> Mapping[str, Float]:
    """Read the network and the chord templates that ship, once per process."""
    return {name: table.astype(np.float32) for name, table in read_tensors(FOLDER).items()}


def rhythm_features(spectra: BandSpectra) -> Float:
    """Compute the input of the network, shape (frame, N_FEATURES): levels relative to each band's mean."""
    mel = spectra.mel - spectra.mel.mean(axis=0)
    mel /= max(float(mel.std()), 0.3)
    before = np.concatenate([np.repeat(mel[:1], RISE_FRAMES, axis=0), mel])[: len(mel)]
    rise = np.maximum(mel - before, 0.0)
    at = np.arange(len(mel)) * (CHROMA_RATE / FRAME_RATE)
    novelty = [np.interp(at, np.arange(len(change)), change) for change in harmonic_novelty(spectra.chroma).T]
    return np.concatenate([mel, rise, np.stack(novelty, axis=1)], axis=1).astype(np.float32)


def harmonic_novelty(chroma: Float) -> Float:
    """Compute how much harmony changes at each frame: one minus the cosine, shape (frame, register)."""
    n = round(NOVELTY_SECONDS * CHROMA_RATE)
    sums = np.concatenate([np.zeros((1, *chroma.shape[1:])), np.cumsum(chroma, axis=0, dtype=np.float64)])
    places = np.arange(len(chroma))
    before = sums[places] - sums[np.maximum(places - n, 0)]
    after = sums[np.minimum(places + n, len(chroma))] - sums[places]
    norms = np.linalg.norm(before, axis=2) * np.linalg.norm(after, axis=2)
    return np.asarray(1 - (before * after).sum(axis=2) / np.maximum(norms, 1e-6) * (norms > 1e-6), dtype=np.float32)


def beat_activations(features: Float, weights: Mapping[str, Float] | None = None) -> Float:
    """Compute the logarithms of the probabilities of no beat, a beat and a downbeat, shape (frame, 3)."""
    weights = load_weights() if weights is None else weights
    hidden = _elu(features @ weights["input.weight"].T + weights["input.bias"])
    layer = 0
    while f"layers.{layer}.weight" in weights:
        kernel, bias = weights[f"layers.{layer}.weight"], weights[f"layers.{layer}.bias"]  # (out, in, KERNEL)
        reach = 2**layer * (KERNEL // 2)
        padded = np.pad(hidden, ((reach, reach), (0, 0)))
        taps = [padded[k * 2**layer : k * 2**layer + len(hidden)] @ kernel[:, :, k].T for k in range(KERNEL)]
        hidden = hidden + _elu(np.sum(taps, axis=0) + bias)
        layer += 1
    logits = hidden @ weights["output.weight"].T + weights["output.bias"]
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), dtype=np.float32)


def _elu(x: Float) -> Float:
    return np.asarray(np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), dtype=np.float32)
