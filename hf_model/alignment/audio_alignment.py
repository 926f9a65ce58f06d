"""Alignment of a piano recording to a voice that sings the same song: time warping without a change of pitch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT, VOICE_STFT, frame_count
from hf_model.audio.resampling import resample
from hf_model.audio.stft import istft, window

FEATURE_HOP = 0.02
"""Seconds between feature frames."""

MAX_CELLS = 200_000_000
"""Cells of the step matrix, one byte each; longer recordings get a larger hop."""

ANCHOR_STEP = 0.2
"""Seconds between the anchors of the piecewise linear time map."""

ONSET_WEIGHT = 2.0
"""Weight of the onset features relative to the chroma."""

ONSET_DECAY = 0.1
"""Seconds over which an onset feature decays, so that onsets that nearly coincide match."""

_WINDOW = 2048
_SILENCE = 1e-3


@dataclass(frozen=True)
class Warp:
    """A time map between a voice and a piano.

    Attributes
    ----------
    voice_times, piano_times : ndarray, shape (anchor,)
        Seconds, increasing; corresponding times of the two recordings.
    quality : float
        0-1: how much better the two match than the voice matches the piano in other keys; 0 for different songs.
    shift : int
        Transposition of the piano in semitones (-5 to 6) with the best match; 0 for the same key.
    """

    voice_times: NDArray[np.float64]
    piano_times: NDArray[np.float64]
    quality: float
    shift: int

    def to_piano(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map times of the voice to times of the piano, at constant speed beyond the ends."""
        return _interpolate(times, self.voice_times, self.piano_times)

    def to_voice(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map times of the piano to times of the voice."""
        return _interpolate(times, self.piano_times, self.voice_times)


def find_warp(voice: NDArray[np.float32], voice_rate: int, piano: NDArray[np.float32], piano_rate: int) -> Warp:
    """Align a voice and a piano (sample,) by dynamic time warping on chroma.

    Where only one of them sounds, the time map is linear between the nearest anchors.
    """
    seconds = np.array([len(voice) / voice_rate, len(piano) / piano_rate])
    hop = max(FEATURE_HOP, float(np.sqrt(seconds.prod() / MAX_CELLS)))
    one = chroma(resample(voice, voice_rate, VOICE_STFT.sample_rate), hop)
    other = chroma(resample(piano, piano_rate, VOICE_STFT.sample_rate), hop)
    path = warping_path(one, other)
    # every fourth frame is enough for the key
    coarse = one[::4]
    shifted = [np.roll(other[::4].reshape(-1, 2, 12), shift, axis=2).reshape(-1, 24) for shift in range(12)]
    costs = [_cost(coarse, moved, warping_path(coarse, moved)) for moved in shifted]
    others = float(np.median(costs[1:]))
    best = int(np.argmin(costs))
    quality = float(np.clip(1.0 - costs[0] / others, 0.0, 1.0)) if best == 0 and others > 0 else 0.0
    voice_times, piano_times = _anchors(path.astype(np.float64) * hop)
    return Warp(voice_times, piano_times, quality, best if best <= 6 else best - 12)


def chroma(audio: NDArray[np.float32], hop: float) -> NDArray[np.float64]:
    """Compute chroma and chroma onset features; frame m is centred on m * hop seconds.

    Only the range of the lower partials of voices is used (80-1600 Hz). Silence has equal chroma in all classes.

    Returns
    -------
    ndarray, shape (frame, 24)
        12 chroma values of unit norm, then the decaying onset feature of each class.

    References
    ----------
    Ewert, Müller & Grosche, High resolution audio synchronization using chroma onset features, ICASSP 2009.
    """
    step = hop * VOICE_STFT.sample_rate
    n_frames = 1 + int(len(audio) / step)
    padded = np.pad(audio, (_WINDOW // 2, _WINDOW))
    hertz = np.fft.rfftfreq(_WINDOW, 1 / VOICE_STFT.sample_rate)
    used = (hertz > 80) & (hertz < 1600)
    classes = 12 * np.log2(hertz[used] / 440.0) + 9
    # each bin counts for the classes near it, so that a pitch between two keys counts for both
    distance = np.abs((classes[:, None] - np.arange(12)[None, :] + 6) % 12 - 6)
    weights = np.maximum(0.0, 1.0 - distance) / np.sqrt(hertz[used])[:, None]
    window = np.hanning(_WINDOW).astype(np.float32)
    features = np.empty((n_frames, 12))
    for frame in range(n_frames):
        start = round(frame * step)
        magnitude = np.abs(np.fft.rfft(padded[start : start + _WINDOW] * window))
        features[frame] = magnitude[used] @ weights
    features += _SILENCE * max(float(features.max()), 1e-9)
    rises = np.maximum(np.diff(np.log(features), axis=0, prepend=np.log(features[:1])), 0.0)
    for frame in range(1, n_frames):
        rises[frame] = np.maximum(rises[frame], rises[frame - 1] * np.exp(-hop / ONSET_DECAY))
    rises *= ONSET_WEIGHT / max(float(np.percentile(np.linalg.norm(rises, axis=1), 99)), 1e-9)
    return np.concatenate([features / np.linalg.norm(features, axis=1, keepdims=True), rises], axis=1)


def warping_path(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the monotone path of least cost between two sequences of features (frame, feature).

    Dynamic time warping with steps (1, 1), (1, 0) and (0, 1), by anti-diagonals: memory is one byte a cell.

    Returns
    -------
    ndarray, shape (step, 2)
        Frame numbers of both, from the first to the last frames.
    """
    rows, columns = len(one), len(other)
    steps = np.zeros((rows + columns - 1, rows), dtype=np.int8)
    previous, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        row = np.arange(low, high)
        distance = _distance(one[row], other[diagonal - row])
        # row r is stored at r + 1, so that the row above exists for r = 0
        options = np.stack([previous[low:high], last[low:high], last[low + 1 : high + 1]])
        choice = np.argmin(options, axis=0)
        steps[diagonal, low:high] = choice
        new = np.full(rows + 1, np.inf)
        new[low + 1 : high + 1] = distance + (np.take_along_axis(options, choice[None], axis=0)[0] if diagonal else 0.0)
        previous, last = last, new
    path = []
    row_number, diagonal = rows - 1, rows + columns - 2
    while diagonal >= 0:
        path.append((row_number, diagonal - row_number))
        step = steps[diagonal, row_number]
        diagonal -= 2 if step == 0 else 1
        row_number -= 0 if step == 2 else 1
    return np.array(path[::-1], dtype=np.int64)


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the squared Euclidean distance; the cosine distance for unit vectors."""
    difference = one - other
    return np.asarray(0.5 * np.einsum("nf,nf->n", difference, difference))


def _cost(one: NDArray[np.float64], other: NDArray[np.float64], path: NDArray[np.int64]) -> float:
    """Mean chroma distance along a path, where at least one recording is not silent."""
    first, second = one[path[:, 0], :12], other[path[:, 1], :12]
    flat = 1.0 / np.sqrt(12.0)
    sounding = (np.abs(first - flat).max(axis=1) > 0.1) | (np.abs(second - flat).max(axis=1) > 0.1)
    return float(_distance(first, second)[sounding].mean()) if sounding.any() else 1.0


def _anchors(times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thin a path in seconds (step, 2) to anchors that increase in both recordings."""
    ends = times[-1]
    bins = np.floor(times[:, 0] / ANCHOR_STEP).astype(int)
    middles = np.array([times[bins == number].mean(axis=0) for number in np.unique(bins)])
    anchors = np.concatenate([times[:1], middles, ends[None]])
    min_step = 0.05
    kept = [anchors[0]]
    for anchor in anchors[1:]:
        if np.all(anchor - kept[-1] > min_step):
            kept.append(anchor)
    if len(kept) == 1:
        kept.append(kept[0] + 1.0)
    return np.array(kept)[:, 0], np.array(kept)[:, 1]


def _interpolate(
    times: NDArray[np.float64], known: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate linearly, with slope 1 beyond the ends."""
    inside = np.interp(times, known, values)
    return np.asarray(inside + np.minimum(times - known[0], 0.0) + np.maximum(times - known[-1], 0.0))


def apply_warp(piano: NDArray[np.float32], warp: Warp, n_samples: int) -> NDArray[np.float32]:
    """Stretch a piano recording to the voice's times with a phase vocoder.

    Where both run at the same speed, the recording is unchanged.

    Parameters
    ----------
    piano : ndarray, shape (sample,)
        At 44.1 kHz.
    warp : Warp
    n_samples : int
        Length of the result.

    References
    ----------
    Flanagan & Golden, Phase vocoder, 1966; Dolson, The phase vocoder: a tutorial, 1986.
    """
    hop = PIANO_STFT.hop_length
    n_frames = frame_count(n_samples, PIANO_STFT)
    times = warp.to_piano(np.arange(n_frames) / PIANO_STFT.frame_rate)
    centres = np.rint(times * PIANO_SAMPLE_RATE).astype(np.int64)
    # of two spectra one hop apart, the later gives the magnitude, and their phase difference the advance
    earlier, later = _spectra(piano, centres - hop), _spectra(piano, centres)
    advance = np.angle(later) - np.angle(earlier)
    advance[0] = np.angle(later[0])
    spectrum = (np.abs(later) * np.exp(1j * np.cumsum(advance, axis=0))).astype(np.complex64)
    return np.asarray(istft(torch.from_numpy(spectrum), PIANO_STFT, n_samples).numpy(), dtype=np.float32)


def _spectra(audio: NDArray[np.float32], centres: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Compute the spectra (frame, bin) centred on the given samples; beyond its ends the audio is zero."""
    half = PIANO_STFT.n_fft // 2
    padded = np.pad(audio, half)
    index = np.clip(centres, -half, len(audio) + half)[:, None] + np.arange(PIANO_STFT.n_fft)[None, :]
    index = np.where((index >= 0) & (index < len(padded)), index, 0)
    frames = np.where(index > 0, padded[index], 0.0)
    return np.asarray(np.fft.rfft(frames * window(PIANO_STFT).numpy(), axis=1))
