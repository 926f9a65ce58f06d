"""The piano's partials: what each key is made of, as a table.

A struck key is a sum of partials of fixed frequency whose complex envelopes are straight lines between knots, a short
waveform (the hammer: what the partials miss at the attack), a long one of few hertz (the body: the knock of case and
soundboard below the partials and between them) and noise in bands.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from hf_model.config import PIANO_STFT
from hf_model.pretrained import WEIGHTS, read_config

SAMPLE_RATE, BLOCK = PIANO_STFT.sample_rate, PIANO_STFT.hop_length

# fmt: off
KNOTS = np.array([
    0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30, 36, 43, 50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200, 230, 260,
    300, 350, 400, 460, 530, 600, 700, 800, 900, 1000,
])
# fmt: on
"""Blocks (of 441 samples) after the onset at which envelopes are known."""

N_BANDS = 40
HAMMER_SAMPLES = 2048
BODY_STEP, BODY_SAMPLES = 21, 5250
"""The body has one sample in so many of the audio, and so many in all: 2.5 s below 0.9 kHz."""

BODY_REACH = 12
"""Samples of the body on each side from which one of the audio is interpolated."""

SOFT, LOUD = 0, 1
"""The two recordings of each key: up to velocity 107, and from 108 on. Row = recording * 88 + key - 21."""

LAST_SOFT = 107


@dataclass(frozen=True)
class PartialTable:
    """All keys' partials.

    Attributes
    ----------
    first : ndarray of int64, shape (row + 1,)
        Where each row's partials begin. Row = recording * 88 + key - 21.
    frequency : ndarray of float64, shape (partial,)
        Hz.
    envelope : ndarray of float16, shape (partial, knot, 2)
        Real and imaginary part at the loudest layer of the row's recording.
    gain : ndarray of float16, shape (partial, layer, 2)
        Complex gain of every velocity layer.
    hammer : ndarray of int8, shape (88, layer, sample)
        Waveforms, as levels of :func:`hf_model.mdct.dequantise`.
    hammer_peak : ndarray of float32, shape (88, layer)
        What level 127 stands for.
    body : ndarray of int8, shape (row, body sample)
        Waveforms at the loudest layer of the row's recording, as levels; interpolated by :func:`body_kernel`.
    body_peak : ndarray of float32, shape (row,)
        What level 127 stands for.
    body_gain : ndarray of float32, shape (88, layer)
    noise : ndarray of int8, shape (row, knot, band)
        Level in dB of the noise's spectrum (magnitude on the piano's grid).
    noise_gain : ndarray of int8, shape (88, layer, band)
        dB.
    mix : ndarray of float32, shape (88, velocity, 2)
        Gains of the layer below and the layer above.
    release : ndarray of float32, shape (88, velocity)
        dB a second.
    velocities : ndarray of int64, shape (layer,)
    """

    first: NDArray[np.int64]
    frequency: NDArray[np.float64]
    envelope: NDArray[np.float16]
    gain: NDArray[np.float16]
    hammer: NDArray[np.int8]
    hammer_peak: NDArray[np.float32]
    body: NDArray[np.int8]
    body_peak: NDArray[np.float32]
    body_gain: NDArray[np.float32]
    noise: NDArray[np.int8]
    noise_gain: NDArray[np.int8]
    mix: NDArray[np.float32]
    release: NDArray[np.float32]
    velocities: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path | str = WEIGHTS / "partials") -> PartialTable:
        """Read what ``python -m hf_model.piano_partials`` wrote."""
        read_config(folder)
        return cls(**load_file(Path(folder) / "model.safetensors"))

    def save(self, folder: Path | str) -> None:
        """Write the table beside a ``config.json`` that says where it came from."""
        tensors = {item.name: np.ascontiguousarray(getattr(self, item.name)) for item in fields(self)}
        save_file(tensors, Path(folder) / "model.safetensors")
        settings = {"kind": "partials", "fitted_to": read_config(WEIGHTS / "piano")}
        (Path(folder) / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @property
    def digest(self) -> int:
        """A number that changes with the table."""
        checksum = 0
        for item in fields(self):
            checksum = zlib.crc32(np.ascontiguousarray(getattr(self, item.name)).tobytes(), checksum)
        return checksum


def band_weights() -> NDArray[np.float32]:
    """Triangles (bin, band) that interpolate band levels to the piano grid's bins; bands lie even on the mel scale."""
    bins = np.arange(PIANO_STFT.n_bins) * SAMPLE_RATE / PIANO_STFT.n_fft
    mel = 2595.0 * np.log10(1.0 + bins / 700.0)
    place = mel / mel[-1] * (N_BANDS - 1)
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(N_BANDS))), dtype=np.float32)


def knot_weights(n_blocks: int) -> NDArray[np.float32]:
    """Linear interpolation (block, knot) from knots to blocks; zero from the last knot on."""
    weights = interpolation(np.arange(n_blocks), KNOTS)
    weights[np.arange(n_blocks) >= KNOTS[-1]] = 0
    return weights


def body_kernel() -> NDArray[np.float32]:
    """Kernel (sample,) that interpolates the body: a sinc under a Kaiser window, cut off at 0.9 of its Nyquist."""
    half = BODY_REACH * BODY_STEP
    place = np.arange(-half, half + 1)
    return np.asarray(0.9 * np.sinc(0.9 * place / BODY_STEP) * np.kaiser(len(place), 6.0), dtype=np.float32)


def interpolation(places: NDArray[np.int64], knots: NDArray[np.int64]) -> NDArray[np.float32]:
    """Linear interpolation as a matrix (place, knot); constant beyond the ends."""
    identity = np.eye(len(knots))
    return np.stack([np.interp(places, knots, row) for row in identity], axis=1).astype(np.float32)
