"""Transcription of monophonic piano without a network: an independent check that a rendering plays its notes.

Each frame gets the key whose harmonics, and not the gaps between them, hold its energy; a note begins where the
partials of its key rise. Nothing is shared with the transcriber of voices, and nothing is learned.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.io import to_mono
from hf_model.audio.resampling import resample
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.notes.pitch import pitch_to_hz

RATE = 22050
"""Hz."""

HOP, WINDOW, N_FFT = 110, 2048, 4096
"""Samples: a step of 5 ms and a window of 93 ms."""

KEYS = np.arange(LOWEST_KEY, HIGHEST_KEY + 1)

SILENT = KEYS.size
"""Index of the state without a key."""

FLOOR_DB = -60.0
"""Level relative to the loudest frame below which a frame is silent."""

CHANGE_COST = 1.5
"""Cost of a change of key, in frames of perfect salience."""

RISE_FRAMES = 6
"""Frames over which a rise in level is measured (30 ms)."""

NEW_KEY_RISE_DB, SAME_KEY_RISE_DB = 2.0, 1.5
"""Rise of a key's partials that begins a note, after another key and after itself."""

MIN_GAP_FRAMES = 10
"""Least distance between two strikes of a key (50 ms)."""

MIN_FRAMES = 4
"""Shorter notes (20 ms) are artefacts."""

LATENCY = 0.021
"""Seconds from the measured rise, which the window smears forward, to the strike; from two General MIDI pianos."""


def piano_to_notes(audio: NDArray[np.float32], sample_rate: int) -> list[Note]:
    """Transcribe monophonic piano.

    Parameters
    ----------
    audio : ndarray, shape (sample,) or (channel, sample)
        At any level.
    sample_rate : int
        Hz.

    Returns
    -------
    list of Note
        Integer pitches without overlap. Offsets are rough: the key is no longer the most salient.

    References
    ----------
    The kernel is that of A. Camacho and J. G. Harris, "A sawtooth waveform inspired pitch estimator" (SWIPE), 2008.
    """
    magnitude = _spectrogram(resample(to_mono(audio), sample_rate, RATE))
    if magnitude.max(initial=0.0) <= 0:
        return []
    path = _key_path(_salience(magnitude))
    floor = 1e-8 * float((magnitude**2).sum(axis=1).max())
    edges = np.flatnonzero(np.diff(path, prepend=-1))
    segments: list[tuple[int, int, int]] = []
    for start, end in pairwise([*edges, path.size]):
        if path[start] != SILENT and end - start >= 2 * MIN_FRAMES:
            key = int(path[start])
            onsets = _onsets(magnitude, floor, key, int(start), int(end))
            segments += [(onset, until, key) for onset, until in pairwise([*onsets, int(end)])]
    segments.sort()
    notes = []
    for (onset, until, key), (following, *_) in pairwise([*segments, (path.size, 0, 0)]):
        last = min(until, following)
        if last - onset >= MIN_FRAMES:
            notes.append(Note(onset * HOP / RATE + LATENCY, last * HOP / RATE + LATENCY, float(KEYS[key])))
    return notes


def _spectrogram(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Magnitudes (frame, bin); frame m is centred on m * HOP / RATE seconds."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, WINDOW // 2), WINDOW)[::HOP]
    return np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), N_FFT)).astype(np.float32)


def _salience(magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the salience of each key in each frame, in [-1, 1]: shape (frame, key + 1), the last column silence."""
    root = np.sqrt(magnitude)
    root /= np.linalg.norm(root, axis=1, keepdims=True) + 1e-9
    level = np.linalg.norm(magnitude, axis=1)
    active = level > level.max() * 10 ** (FLOOR_DB / 20)
    keys = np.where(active[:, None], root @ _kernels().T, -1.0)
    silence = np.where(active, 0.1, 0.5)[:, None]
    return np.concatenate([keys, silence], axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def _kernels() -> NDArray[np.float32]:
    """Compute a kernel per key: positive lobes at its first five harmonics, negative ones between; shape (key, bin)."""
    frequency = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    rows = []
    for f0 in pitch_to_hz(KEYS):
        ratio = frequency / f0
        row = np.zeros_like(frequency)
        for harmonic in range(1, max(1, min(5, int(5000 // f0))) + 1):
            distance = np.abs(ratio - harmonic)
            lobe = np.cos(2 * np.pi * distance)
            row += np.where(distance < 0.25, lobe, np.where(distance < 0.75, 0.5 * lobe, 0.0))
        row *= (ratio > 0.25) / np.sqrt(ratio + 1e-3)
        rows.append(row / np.linalg.norm(np.maximum(row, 0.0)))
    return np.array(rows, dtype=np.float32)


def _key_path(salience: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the sequence of keys of the greatest total salience less the cost of changes: shape (frame,)."""
    n_frames, n_states = salience.shape
    score = salience[0].copy()
    previous = np.zeros((n_frames, n_states), dtype=np.int64)
    stay = np.arange(n_states)
    for frame in range(1, n_frames):
        best = int(score.argmax())
        jump = score[best] - CHANGE_COST
        previous[frame] = np.where(score >= jump, stay, best)
        score = np.maximum(score, jump) + salience[frame]
    path = np.zeros(n_frames, dtype=np.int64)
    path[-1] = score.argmax()
    for frame in range(n_frames - 1, 0, -1):
        path[frame - 1] = previous[frame, path[frame]]
    return path


def _onsets(magnitude: NDArray[np.float32], floor: float, key: int, start: int, end: int) -> list[int]:
    """Find the frames from ``start`` to ``end`` in which a sounding key is struck; power below ``floor`` is ignored."""
    from scipy.signal import find_peaks

    first = max(0, start - 3 * RISE_FRAMES)
    power = np.stack([(magnitude[first:end, near] ** 2).sum(axis=1) for near in _partials(key)])
    rise = _rise(power.sum(axis=0), floor)
    # the partials of a string beat independently: only a strike makes most of them rise at once
    common_rise = np.median([_rise(one, floor) for one in power], axis=0)
    onsets = []
    if start < RISE_FRAMES:
        onsets.append(start)  # sounding when the recording begins
    else:
        near = slice(max(RISE_FRAMES, start - 14 - first), start + 14 - first)
        if rise[near].max(initial=0.0) >= NEW_KEY_RISE_DB:
            onsets.append(first + near.start + int(rise[near].argmax()))
    peaks, _ = find_peaks(common_rise[start - first :], height=SAME_KEY_RISE_DB, distance=MIN_GAP_FRAMES)
    for peak in peaks + start:
        since = peak - (onsets[-1] if onsets else start)
        if since > MIN_GAP_FRAMES and peak - start > MIN_GAP_FRAMES:
            onsets.append(int(peak))
    return [max(0, onset - RISE_FRAMES + 1) for onset in onsets]


def _rise(power: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Compute the rise of the level over the last ``RISE_FRAMES`` frames in dB, (frame,)."""
    level = 10 * np.log10(power + floor)
    rise = np.zeros_like(level)
    rise[RISE_FRAMES:] = level[RISE_FRAMES:] - level[:-RISE_FRAMES]
    return np.asarray(rise)


def _partials(key: int) -> NDArray[np.bool_]:
    """Select the bins within 2 % (8 Hz at least) of each of a key's first six partials, shape (partial, bin)."""
    frequency = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    partials = float(pitch_to_hz(KEYS[key])) * np.arange(1, 7)[:, None]
    return np.asarray(np.abs(frequency - partials) <= np.maximum(0.02 * partials, 8.0))
