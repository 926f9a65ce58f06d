"""The table of the piano's partials, with its file format.

A struck key is a sum of partials of fixed frequency whose complex envelopes are straight lines between knots, a short
waveform (the hammer: the residual of the attack), a long one of low frequency (the body: the knock of case and
soundboard below and between the partials) and noise in bands.
"""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.weights import WEIGHTS, WEIGHTS_FILE, damaged, read_config, read_tensors, write_tensors

BLOCK = PIANO_STFT.hop_length

# fmt: off
KNOTS = np.array([
    0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30, 36, 43, 50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200, 230, 260,
    300, 350, 400, 460, 530, 600, 700, 800, 900, 1000,
])
# fmt: on
"""Blocks (of 441 samples) after the onset at which envelopes are defined."""

N_BANDS = 40
HAMMER_SAMPLES = 2048
BODY_STEP, BODY_SAMPLES = 21, 5250
"""Audio samples per sample of the body, and samples of the body: 2.5 s below 0.9 kHz."""

BODY_REACH = 12
"""Samples of the body on each side from which a sample of the audio is interpolated."""

LAST_SOFT = 107
"""Highest velocity of the first of the two recordings of each key. Row = recording * 88 + key - 21."""

GAIN_VELOCITIES = (
    (3, 6, 9, 12, 16, 20, 24, 28, 33, 38, 43, 48, 54, 60, 66, 70, 74, 75, 81, 87, 93, 99, 103, 107),
    (108, 112, 117, 122, 127),
)
"""Velocities at which the gains of both recordings are known; between them decibels are interpolated."""

SHAPE = "_shape"
"""Suffix of the tensor with the shape of a compressed one."""

GAIN_STEP_DB, GAIN_TOP_DB = 0.3, 6.0

OTHER_TABLE = (
    "these weights were trained with another table of partials than hf_model/weights/partials: train them again"
)
"""Message about weights that do not belong to the table."""


@dataclass(frozen=True)
class PartialTable:
    """All keys' partials.

    Attributes
    ----------
    first : ndarray of int64, shape (row + 1,)
        Index of each row's first partial. Row = recording * 88 + key - 21.
    frequency : ndarray of float64, shape (partial,)
        Hz.
    envelope : ndarray of float16, shape (partial, knot, 2)
        Real and imaginary part at the loudest layer of the row's recording.
    gain : ndarray of uint8, shape (partial, velocity, 2)
        Attenuation and phase at the velocities of the partial's recording (``GAIN_VELOCITIES``), as codes of
        :func:`decode_gain`: the instrument's filter opens with velocity, which no mix of two layers reproduces.
    hammer : ndarray of int8, shape (88, layer, sample)
        Waveforms, as levels of :func:`hf_model.piano.mdct_codec.dequantise`.
    hammer_peak : ndarray of float32, shape (88, layer)
        Amplitude of level 127.
    body : ndarray of int8, shape (row, body sample)
        Waveforms at the loudest layer of the row's recording, as levels; interpolated by :func:`body_kernel`.
    body_peak : ndarray of float32, shape (row,)
        Amplitude of level 127.
    body_gain : ndarray of float32, shape (88, layer)
    noise : ndarray of int8, shape (row, knot, band)
        Level in dB of the noise's spectrum (magnitude on the piano's grid).
    noise_gain : ndarray of int8, shape (row, velocity, band)
        dB, at the same velocities.
    mix : ndarray of float32, shape (88, velocity, 2)
        Gains of the layer below and the layer above.
    release : ndarray of float32, shape (88, velocity)
        dB a second.
    velocities : ndarray of int64, shape (layer,)
    """

    first: NDArray[np.int64]
    frequency: NDArray[np.float64]
    envelope: NDArray[np.float16]
    gain: NDArray[np.uint8]
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
        """Read what ``python -m hf_model.synthesizer.fit_partials`` wrote.

        Raises
        ------
        FileNotFoundError
            If the folder holds no table.
        WeightsError
            If the table is damaged.
        """
        tensors = read_tensors(folder)
        try:
            for name in [name.removesuffix(SHAPE) for name in tensors if name.endswith(SHAPE)]:
                values = np.frombuffer(lzma.decompress(tensors[name].tobytes()), dtype=_byte_type(name))
                tensors[name] = values.reshape(tensors.pop(name + SHAPE))
            return cls(**tensors)
        except (lzma.LZMAError, LookupError, TypeError, ValueError) as error:
            raise damaged(Path(folder) / WEIGHTS_FILE, error) from error

    def save(self, folder: Path | str, source: str = "sampled") -> None:
        """Write the table with compressed bytes, and a ``config.json`` with its origin."""
        tensors: dict[str, NDArray[Any]] = {}
        for item in fields(self):
            values = np.ascontiguousarray(getattr(self, item.name))
            tensors[item.name] = values
            if values.itemsize == 1:
                tensors[item.name] = np.frombuffer(lzma.compress(values.tobytes(), preset=9), dtype=np.uint8)
                tensors[item.name + SHAPE] = np.array(values.shape, dtype=np.int64)
        settings = {"kind": "partials", "source": source, "fitted_to": read_config(WEIGHTS / "piano")}
        write_tensors(folder, tensors, settings)

    @property
    def digest(self) -> int:
        """Checksum of the table."""
        checksum = 0
        for item in fields(self):
            checksum = zlib.crc32(np.ascontiguousarray(getattr(self, item.name)).tobytes(), checksum)
        return checksum


def encode_gain(gain: NDArray[np.complex128]) -> NDArray[np.uint8]:
    """Round complex gains (...) to bytes (..., 2): attenuation and phase."""
    level = 20.0 * np.log10(np.maximum(np.abs(gain), 1e-6))
    attenuation = np.clip(np.round((GAIN_TOP_DB - level) / GAIN_STEP_DB), 0, 255)
    phase = np.round(np.angle(gain) / (2.0 * np.pi) * 256.0) % 256
    return np.stack([attenuation, phase], axis=-1).astype(np.uint8)


def decode_gain(code: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.complex64]]:
    """Invert :func:`encode_gain`: levels in dB and phases as complex numbers of magnitude one."""
    level = GAIN_TOP_DB - GAIN_STEP_DB * code[..., 0].astype(np.float32)
    return level.astype(np.float32), np.exp(2j * np.pi / 256.0 * code[..., 1]).astype(np.complex64)


def gain_positions() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Compute for every velocity the index of the gain below it and the weight of the next one, (128,) each."""
    below, share = np.zeros(128, dtype=np.int64), np.zeros(128, dtype=np.float32)
    for velocity in range(128):
        known = np.array(GAIN_VELOCITIES[velocity > LAST_SOFT], dtype=np.float64)
        position = float(np.interp(velocity, known, np.arange(len(known))))
        below[velocity] = min(int(position), len(known) - 2)
        share[velocity] = position - below[velocity]
    return below, share


def _byte_type(name: str) -> type[np.int8] | type[np.uint8]:
    return np.uint8 if name == "gain" else np.int8


def band_weights() -> NDArray[np.float32]:
    """Compute triangles (bin, band) that interpolate bands, equidistant in mel, to the bins of the piano's grid."""
    bins = np.arange(PIANO_STFT.n_bins) * PIANO_SAMPLE_RATE / PIANO_STFT.n_fft
    mel = 2595.0 * np.log10(1.0 + bins / 700.0)
    position = mel / mel[-1] * (N_BANDS - 1)
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(N_BANDS))), dtype=np.float32)


def knot_weights(n_blocks: int) -> NDArray[np.float32]:
    """Compute the linear interpolation (block, knot) from knots to blocks; zero from the last knot on."""
    weights = interpolation(np.arange(n_blocks), KNOTS)
    weights[np.arange(n_blocks) >= KNOTS[-1]] = 0
    return weights


def body_kernel() -> NDArray[np.float32]:
    """Compute the kernel that interpolates the body: a Kaiser-windowed sinc, cut-off at 0.9 of its Nyquist."""
    half = BODY_REACH * BODY_STEP
    distance = np.arange(-half, half + 1)
    return np.asarray(0.9 * np.sinc(0.9 * distance / BODY_STEP) * np.kaiser(len(distance), 6.0), dtype=np.float32)


def interpolation(positions: NDArray[np.int64], knots: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute linear interpolation as a matrix (position, knot); constant beyond the ends."""
    identity = np.eye(len(knots))
    return np.stack([np.interp(positions, knots, row) for row in identity], axis=1).astype(np.float32)
