"""A piano recording brought onto the clock of a voice that sings the same song: warped in time, not in pitch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_STFT, frame_count
from hf_model.audio.pitch_tracking import SAMPLE_RATE
from hf_model.audio.resampling import resample
from hf_model.audio.stft import istft, window

FEATURE_HOP = 0.02
"""Seconds between the spectra that are compared."""

MOST_CELLS = 200_000_000
"""Of the matrix of comparisons, one byte each; longer recordings are compared more coarsely."""

ANCHOR_STEP = 0.2
"""Seconds between the points through which the two clocks are joined by straight lines."""

ONSET_WEIGHT = 2.0
"""How much beginnings of notes count against their pitches."""

ONSET_DECAY = 0.1
"""Seconds over which a beginning fades, so that two that nearly meet attract each other."""

_WINDOW = 2048
_SILENCE = 1e-3


@dataclass(frozen=True)
class Warp:
    """How two clocks belong together.

    Attributes
    ----------
    voice_times, piano_times : ndarray, shape (anchor,)
        Seconds, rising: what happens at the one in the voice happens at the other in the piano.
    quality : float
        0-1: how much better the two fit than the voice fits the piano in other keys; 0 for different songs.
    shift : int
        Semitones (-5 to 6) by which the piano would have to be transposed to fit best; 0 for the same key.
    """

    voice_times: NDArray[np.float64]
    piano_times: NDArray[np.float64]
    quality: float
    shift: int

    def to_piano(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take times of the voice to times of the piano, at constant speed beyond the ends."""
        return _extended(times, self.voice_times, self.piano_times)

    def to_voice(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take times of the piano to times of the voice."""
        return _extended(times, self.piano_times, self.voice_times)


def find_warp(voice: NDArray[np.float32], voice_rate: int, piano: NDArray[np.float32], piano_rate: int) -> Warp:
    """Align a voice and a piano (sample,) by dynamic time warping on chroma.

    Where the voice is silent and the piano plays on, or the other way round, the lines between the anchors bridge.
    """
    seconds = np.array([len(voice) / voice_rate, len(piano) / piano_rate])
    hop = max(FEATURE_HOP, float(np.sqrt(seconds.prod() / MOST_CELLS)))
    one = chroma(resample(voice, voice_rate, SAMPLE_RATE), hop)
    other = chroma(resample(piano, piano_rate, SAMPLE_RATE), hop)
    path = warping_path(one, other)
    # every fourth frame is enough to tell the key
    coarse = one[::4]
    shifted = [np.roll(other[::4].reshape(-1, 2, 12), shift, axis=2).reshape(-1, 24) for shift in range(12)]
    costs = [_cost(coarse, moved, warping_path(coarse, moved)) for moved in shifted]
    others = float(np.median(costs[1:]))
    best = int(np.argmin(costs))
    quality = float(np.clip(1.0 - costs[0] / others, 0.0, 1.0)) if best == 0 and others > 0 else 0.0
    voice_times, piano_times = _anchors(path.astype(np.float64) * hop)
    return Warp(voice_times, piano_times, quality, best if best <= 6 else best - 12)


def chroma(audio: NDArray[np.float32], hop: float) -> NDArray[np.float64]:
    """Measure how strong each of the 12 pitch classes is, and where each begins; frame m is centred on m * hop s.

    Only the range in which voices have their lower partials counts (80-1600 Hz); silence is the same for all classes.

    Returns
    -------
    ndarray, shape (frame, 24)
        Chroma of unit length, and after it the rises of each class, fading.

    References
    ----------
    Ewert, Müller & Grosche, High resolution audio synchronization using chroma onset features, ICASSP 2009.
    """
    step = hop * SAMPLE_RATE
    n_frames = 1 + int(len(audio) / step)
    padded = np.pad(audio, (_WINDOW // 2, _WINDOW))
    hertz = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    used = (hertz > 80) & (hertz < 1600)
    classes = 12 * np.log2(hertz[used] / 440.0) + 9
    # each bin counts for the classes near it, so that a voice between two keys counts for both
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
    """Find the cheapest monotone path between two sequences of features (frame, feature).

    Dynamic time warping with steps (1, 1), (1, 0) and (0, 1), by anti-diagonals: memory is one byte a cell.

    Returns
    -------
    ndarray, shape (step, 2)
        Frame numbers of both, from (0, 0) to the last ones.
    """
    rows, columns = len(one), len(other)
    steps = np.zeros((rows + columns - 1, rows), dtype=np.int8)
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        row = np.arange(low, high)
        distance = _distance(one[row], other[diagonal - row])
        # row r lies at place r + 1: the place before holds the row above
        options = np.stack([before[low:high], last[low:high], last[low + 1 : high + 1]])
        choice = np.argmin(options, axis=0)
        steps[diagonal, low:high] = choice
        new = np.full(rows + 1, np.inf)
        new[low + 1 : high + 1] = distance + (np.take_along_axis(options, choice[None], axis=0)[0] if diagonal else 0.0)
        before, last = last, new
    path = []
    place, diagonal = rows - 1, rows + columns - 2
    while diagonal >= 0:
        path.append((place, diagonal - place))
        step = steps[diagonal, place]
        diagonal -= 2 if step == 0 else 1
        place -= 0 if step == 2 else 1
    return np.array(path[::-1], dtype=np.int64)


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the squared distance: for two unit vectors the cosine distance."""
    difference = one - other
    return np.asarray(0.5 * np.einsum("nf,nf->n", difference, difference))


def _cost(one: NDArray[np.float64], other: NDArray[np.float64], path: NDArray[np.int64]) -> float:
    """Mean distance of the chroma along a path, where either side is not silent."""
    first, second = one[path[:, 0], :12], other[path[:, 1], :12]
    flat = 1.0 / np.sqrt(12.0)
    heard = (np.abs(first - flat).max(axis=1) > 0.1) | (np.abs(second - flat).max(axis=1) > 0.1)
    return float(_distance(first, second)[heard].mean()) if heard.any() else 1.0


def _anchors(times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thin a path in seconds (step, 2) to anchors that rise in both clocks."""
    ends = times[-1]
    bins = np.floor(times[:, 0] / ANCHOR_STEP).astype(int)
    middles = np.array([times[bins == number].mean(axis=0) for number in np.unique(bins)])
    anchors = np.concatenate([times[:1], middles, ends[None]])
    least = 0.05
    kept = [anchors[0]]
    for anchor in anchors[1:]:
        if np.all(anchor - kept[-1] > least):
            kept.append(anchor)
    if len(kept) == 1:
        kept.append(kept[0] + 1.0)
    return np.array(kept)[:, 0], np.array(kept)[:, 1]


def _extended(
    times: NDArray[np.float64], known: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    inside = np.interp(times, known, values)
    return np.asarray(inside + np.minimum(times - known[0], 0.0) + np.maximum(times - known[-1], 0.0))


def apply_warp(piano: NDArray[np.float32], warp: Warp, n_samples: int) -> NDArray[np.float32]:
    """Play a piano recording on the voice's clock, by a phase vocoder.

    Parameters
    ----------
    piano : ndarray, shape (sample,)
        At 44.1 kHz.
    warp : Warp
        See there.
    n_samples : int
        Length of the result.

    References
    ----------
    Flanagan & Golden, Phase vocoder, 1966; Dolson, The phase vocoder: a tutorial, 1986. Where the clocks run alike the
    recording comes out as it went in.
    """
    hop = PIANO_STFT.hop_length
    n_frames = frame_count(n_samples, PIANO_STFT)
    times = warp.to_piano(np.arange(n_frames) / PIANO_STFT.frame_rate)
    centres = np.rint(times * PIANO_STFT.sample_rate).astype(np.int64)
    # two spectra one hop apart: the later one is played, and the phase goes on as it does between them
    earlier, later = _spectra(piano, centres - hop), _spectra(piano, centres)
    advance = np.angle(later) - np.angle(earlier)
    advance[0] = np.angle(later[0])
    spectrum = (np.abs(later) * np.exp(1j * np.cumsum(advance, axis=0))).astype(np.complex64)
    return np.asarray(istft(torch.from_numpy(spectrum), PIANO_STFT, n_samples).numpy(), dtype=np.float32)


def _spectra(audio: NDArray[np.float32], centres: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Transform the stretches around the given samples (frame, bin); beyond its ends the audio is silent."""
    half = PIANO_STFT.n_fft // 2
    padded = np.pad(audio, half)
    places = np.clip(centres, -half, len(audio) + half)[:, None] + np.arange(PIANO_STFT.n_fft)[None, :]
    places = np.where((places >= 0) & (places < len(padded)), places, 0)
    frames = np.where(places > 0, padded[places], 0.0)
    return np.asarray(np.fft.rfft(frames * window(PIANO_STFT).numpy(), axis=1))
