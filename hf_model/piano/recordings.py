"""The recorded notes of the sampled piano: the set as it is stored, and decoded notes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.piano.mdct_codec import HOP, dequantise, imdct, unpack

MAX_CACHED_BYTES = 64_000_000
"""Decoded notes that are kept: all that the voices of a folder need, from bass to soprano."""

ATTACK_SAMPLES, LEAST_SAMPLES = 11_025, 88_200
"""A quarter of a second, in which a note is loudest; two seconds, which are decoded even if less is needed: the next
notes of a melody will need them."""

FULL_SCALE = 2**15 - 1
"""Integer of the loudest sample."""


@dataclass(frozen=True)
class PianoSet:
    """The set of recorded notes: the mean of left and right, and, coarser, half their difference (the side).

    Attributes
    ----------
    velocities : ndarray of int, shape (layer,)
        The recorded velocities, rising.
    codes : ndarray of uint8, shape (byte,)
        All packed notes, concatenated.
    start : ndarray of int64, shape (key * layer + 1,)
        Offset of each note's bytes; key-major, keys from 21.
    shape : ndarray of int32, shape (key, layer, 2)
        Frames and bins of each note.
    peak : ndarray of float32, shape (key, layer)
        Coefficient of level 127.
    mix : ndarray of float32, shape (key, velocity, 2)
        Gains of the layers below and above each velocity (0-127).
    release : ndarray of float32, shape (key, velocity)
        Rate of the damper, dB a second.
    side_codes, side_start, side_shape, side_peak
        The same for the side.
    loop : ndarray of int32, shape (key, layer)
        Period in samples of the loop of a long note; 0 for a note that is silent by then.
    loop_gain : ndarray of float32, shape (key, layer)
        Gain of each repetition of the loop.
    brightness : ndarray of float32, shape (key, layer, band), optional
        Spectrum of each note (:func:`hf_model.piano.brightness.band_levels`), for velocities between the layers; a set
        whose layers add in phase has none.
    """

    velocities: NDArray[np.int64]
    codes: NDArray[np.uint8]
    start: NDArray[np.int64]
    shape: NDArray[np.int32]
    peak: NDArray[np.float32]
    mix: NDArray[np.float32]
    release: NDArray[np.float32]
    side_codes: NDArray[np.uint8]
    side_start: NDArray[np.int64]
    side_shape: NDArray[np.int32]
    side_peak: NDArray[np.float32]
    loop: NDArray[np.int32]
    loop_gain: NDArray[np.float32]
    brightness: NDArray[np.float32] | None = None


class _Decoded(NamedTuple):
    """A decoded note in 16 bits, half the memory of floats: ``unit`` times ``samples`` (channel, sample)."""

    samples: NDArray[np.int16]
    unit: np.float32


class DecodedNotes:
    """The notes of a set, decoded on demand, as far as they are needed, and kept: several threads may use one object.

    They are kept in 16 bits of each note's own full scale, so that a mix of some is exact to the last bit of a file.

    Parameters
    ----------
    piano_set : PianoSet
    channels : {1, 2}
        2: left and right; 1: their mean.
    """

    def __init__(self, piano_set: PianoSet, channels: int) -> None:
        self._set, self._channels = piano_set, channels
        self._cache: OrderedDict[tuple[int, int], _Decoded] = OrderedDict()
        self._lock = threading.Lock()

    def audio(self, row: int, layer: int, n_samples: int, gain: float = 1.0) -> NDArray[np.float32]:
        """Return the beginning of a note (channel, sample): ``n_samples``, or fewer if it is silent before.

        Parameters
        ----------
        row, layer : int
            Index of the key, from the lowest, and of the velocity.
        n_samples : int
        gain : float
            Factor of the samples.

        Returns
        -------
        ndarray, shape (channel, sample)
            A new array.
        """
        n_whole = int(self._set.shape[row, layer, 0]) * HOP
        with self._lock:
            found = self._cache.get((row, layer))
            if found is not None:
                self._cache.move_to_end((row, layer))
        if found is None or found.samples.shape[1] < min(n_samples, n_whole):
            n_decoded = n_samples if found is None else max(n_samples, 3 * found.samples.shape[1] // 2)
            found = self._decode(row, layer, n_decoded)
            with self._lock:
                self._keep((row, layer), found)
        return np.multiply(found.samples[:, :n_samples], np.float32(gain) * found.unit)

    def _keep(self, key: tuple[int, int], note: _Decoded) -> None:
        self._cache[key] = note
        self._cache.move_to_end(key)
        n_bytes = sum(kept.samples.nbytes for kept in self._cache.values())
        while n_bytes > MAX_CACHED_BYTES and len(self._cache) > 1:
            n_bytes -= self._cache.popitem(last=False)[1].samples.nbytes

    def _decode(self, row: int, layer: int, n_samples: int) -> _Decoded:
        stored = self._set
        index, n_whole = row * len(stored.velocities) + layer, int(stored.shape[row, layer, 0])
        n_frames = min(-(-max(n_samples, LEAST_SAMPLES) // HOP) + 1, n_whole)
        coefficients = np.zeros((self._channels, n_frames, HOP), dtype=np.float32)
        levels = _levels(stored.codes, stored.start, stored.shape[row, layer], index)[:n_frames]
        coefficients[:, :, : levels.shape[1]] = dequantise(levels, float(stored.peak[row, layer]))
        if self._channels == 2:
            levels = _levels(stored.side_codes, stored.side_start, stored.side_shape[row, layer], index)[:n_frames]
            side = dequantise(levels, float(stored.side_peak[row, layer]))
            coefficients[0, : len(side), : side.shape[1]] += side
            coefficients[1, : len(side), : side.shape[1]] -= side
        n_complete = (n_frames if n_frames == n_whole else n_frames - 1) * HOP
        return _to_int16(imdct(coefficients)[:, :n_complete])


def _to_int16(audio: NDArray[np.float32]) -> _Decoded:
    """Round a note; its unit does not depend on how much of it is decoded."""
    peak = np.abs(audio[:, :ATTACK_SAMPLES]).max(initial=np.float32(1e-12))
    scaled = audio * (FULL_SCALE / peak)
    np.rint(scaled, out=scaled)
    return _Decoded(np.clip(scaled, -FULL_SCALE, FULL_SCALE).astype(np.int16), peak / np.float32(FULL_SCALE))


def _levels(
    codes: NDArray[np.uint8], start: NDArray[np.int64], shape: NDArray[np.int32], index: int
) -> NDArray[np.int8]:
    """Unpack the levels (frame, bin) of a note."""
    return unpack(codes[start[index] : start[index + 1]].tobytes(), int(shape[0]), int(shape[1]))
