"""Beats, bars and tempo of an accompaniment, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.band.activations import beat_activations, load_weights, rhythm_features
from hf_model.band.decoding import BARS, RATE, BeatPath, decode
from hf_model.band.spectrum import FRAME_RATE, BandSpectra
from hf_model.music.tempo import Tempo

MIN_SECONDS = 4.0
"""Shorter accompaniments have no tempo."""

MIN_CONFIDENCE = 0.5
"""A tempo that is less sure is not used."""


@dataclass(frozen=True)
class BandBeats:
    """The beats of an accompaniment.

    Attributes
    ----------
    beats : tuple of float
        Seconds, increasing.
    downbeat : int
        Index in ``beats`` of the first beat that begins a bar.
    bpm : float
        Beats per minute, the median.
    meter : (int, int)
        Time signature, (3, 4) or (4, 4).
    confidence : float
        0-1: probability that the tempo is right.
    meter_confidence : float
        0-1: probability that the metre and the bar lines are right.
    """

    beats: tuple[float, ...]
    downbeat: int
    bpm: float
    meter: tuple[int, int]
    confidence: float
    meter_confidence: float

    def to_tempo(self, duration: float) -> Tempo:
        """Extend the beats at their tempo over a recording of this many seconds."""
        beats, beat = np.array(self.beats), 60.0 / self.bpm
        missing = max(0, int(np.floor(beats[0] / beat)))
        before = beats[0] - beat * np.arange(missing, 0, -1)
        after = beats[-1] + beat * np.arange(1, max(0, int(np.ceil((duration - beats[-1]) / beat))) + 1)
        downbeat = (self.downbeat + missing) % self.meter[0]
        times = tuple(np.concatenate([before, beats, after]).tolist())
        return Tempo(self.bpm, self.confidence, times, downbeat, self.meter, self.meter_confidence)


def track_beats(spectra: BandSpectra, weights: Mapping[str, NDArray[np.float32]] | None = None) -> BandBeats | None:
    """Find the beats of an accompaniment; None if it is too short or silent.

    Parameters
    ----------
    spectra : BandSpectra
        From :class:`hf_model.band.spectrum.SpectrumStream`.
    weights : mapping, optional
        By default those that ship.
    """
    weights = load_weights() if weights is None else weights
    if spectra.duration < MIN_SECONDS or float(np.ptp(spectra.mel)) < 0.1:
        return None
    activations = search_activations(spectra, weights)
    paths = [decode(activations, n) for n in BARS]
    best = max(paths, key=lambda path: path.score)
    if len(best.frames) < MIN_SECONDS:
        return None
    beats = _refine(best.frames, activations)
    bpm = 60.0 / float(np.median(np.diff(beats)))
    sure, bar_sure = _confidences(best, paths, activations, weights)
    downbeat = -best.first_place % best.beats_per_bar
    return BandBeats(tuple(beats.tolist()), downbeat, bpm, (best.beats_per_bar, 4), sure, bar_sure)


def search_activations(spectra: BandSpectra, weights: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Compute the log-probabilities of no beat, a beat and a downbeat (frame, 3), interpolated to ``RATE``."""
    activations = beat_activations(rhythm_features(spectra), weights)
    at = np.arange(int(len(activations) * RATE / FRAME_RATE)) * FRAME_RATE / RATE
    columns = [np.interp(at, np.arange(len(activations)), np.exp(column)) for column in activations.T]
    return np.asarray(np.log(np.maximum(np.stack(columns, axis=1), 1e-4)))


def _refine(frames: NDArray[np.int64], activations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move beats to the centre of the probability around them; in seconds."""
    reach = np.arange(-4, 5)
    around = np.clip(frames[:, None] + reach, 0, len(activations) - 1)
    mass = 1 - np.exp(activations[around, 0])
    moved = (mass * reach).sum(axis=1) / np.maximum(mass.sum(axis=1), 0.2)
    beats = (frames + moved) / RATE
    return np.asarray(np.maximum.accumulate(beats + 1e-6 * np.arange(len(beats))), dtype=np.float64)


def _confidences(
    best: BeatPath, paths: list[BeatPath], activations: NDArray[np.float64], weights: Mapping[str, NDArray[np.float32]]
) -> tuple[float, float]:
    """Compute the confidences of tempo and bars from how the network sees the beats of the path."""
    x = confidence_features(best, paths, activations)
    odds = weights["confidence.weight"].astype(np.float64) @ x
    sure, bar_sure = (1.0 / (1.0 + np.exp(-odds))).tolist()
    return sure, min(bar_sure, sure)


def confidence_features(best: BeatPath, paths: list[BeatPath], activations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute what confidences depend on.

    Returns
    -------
    ndarray, shape (5,)
        1; the mean probability of a beat on the beats; on the off-beats; the share of the downbeats' probability on the
        bar lines; the lead over the other metre a beat.
    """
    probability = np.exp(activations)
    is_beat = 1 - probability[:, 0]
    on = is_beat[best.frames]
    middles = (best.frames[1:] + best.frames[:-1]) // 2
    n = best.beats_per_bar
    place = (np.arange(len(best.frames)) + best.first_place) % n
    down = np.array([probability[best.frames[place == p], 2].mean() if np.any(place == p) else 0.0 for p in range(n)])
    lead = (best.score - min(path.score for path in paths)) / len(best.frames)
    return np.array([1.0, on.mean(), is_beat[middles].mean(), down[0] / max(down.sum(), 1e-3), min(lead, 1.0)])
