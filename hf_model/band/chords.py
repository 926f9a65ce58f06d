"""Chords of an accompaniment: pitch classes of bass and chords on each beat, templates, and the best sequence.

Templates and transitions are fitted by :mod:`hf_model.training.band_fitting`; they are the same for all roots.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hf_model.band.activations import load_weights
from hf_model.band.spectrum import BINS_PER_SEMITONE, CHROMA_RATE, REGISTERS, BandSpectra
from hf_model.music.chords import N_CHORDS, Chord, best_path, chord_steps
from hf_model.music.tempo import Tempo

Float = NDArray[np.float64]

SPANS = ((0, 1), (-1, 2), (0, 4))
"""Beats, relative to the current one, over which pitch classes are averaged; the last one is the bar."""

N_CHORD_FEATURES = 12 * len(REGISTERS) * len(SPANS) + 1


def recognize_chords(
    spectra: BandSpectra, tempo: Tempo, weights: Mapping[str, NDArray[np.float32]] | None = None
) -> list[Chord]:
    """Find the major and minor triads of an accompaniment.

    Parameters
    ----------
    spectra : BandSpectra
        From :class:`hf_model.band.spectrum.SpectrumStream`.
    tempo : Tempo
        Its beats and bars; chords change on beats.
    weights : mapping, optional
        By default those that ship.

    Returns
    -------
    list of Chord
        Without gaps, from the first beat to the last.
    """
    weights = load_weights() if weights is None else weights
    rolls = beat_chroma(spectra, np.array(tempo.beats))
    if not len(rolls):
        return []
    places = (np.arange(len(rolls)) - tempo.downbeat) % tempo.beats_per_bar
    scores = chord_features(rolls, places) @ np.asarray(
        weights["chords.templates"], dtype=np.float64
    )  # (root, beat, mode)
    scores = scores.transpose(1, 0, 2).reshape(len(rolls), N_CHORDS)
    scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
    path = best_path(scores, chord_steps(_transition(weights), _changes(weights, places, tempo.beats_per_bar)))
    starts = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
    return [Chord(tempo.beats[a], tempo.beats[b], int(path[a] // 2), bool(path[a] % 2)) for a, b in pairwise(starts)]


def estimate_band_tuning(chroma: NDArray[np.float32]) -> float:
    """Estimate the offset from 440 Hz in semitones, -0.5 to 0.5, from chroma (frame, register, bin)."""
    share = chroma[:, 1].sum(axis=0).reshape(12, BINS_PER_SEMITONE).sum(axis=0)
    angle = np.angle(np.sum(share * np.exp(2j * np.pi * (np.arange(BINS_PER_SEMITONE) - 1) / BINS_PER_SEMITONE)))
    return float(angle / (2 * np.pi))


def beat_chroma(spectra: BandSpectra, beats: Float) -> Float:
    """Average tuned pitch classes over each beat.

    Returns
    -------
    ndarray, shape (beat - 1, register, 12)
        Each register's largest value is about 1.
    """
    chroma = spectra.chroma.astype(np.float64)
    shift = estimate_band_tuning(spectra.chroma) * BINS_PER_SEMITONE
    whole, part = int(np.floor(shift)), shift - np.floor(shift)
    tuned = (1 - part) * np.roll(chroma, -whole, axis=2) + part * np.roll(chroma, -whole - 1, axis=2)
    folded = (tuned.reshape(*chroma.shape[:2], 12, BINS_PER_SEMITONE) * np.array([0.5, 1.0, 0.5])).sum(axis=3)
    sums = np.concatenate([np.zeros((1, *folded.shape[1:])), np.cumsum(folded, axis=0)])
    at = np.clip(beats * CHROMA_RATE + 0.5, 0, len(folded))
    low = np.minimum(at.astype(int), len(folded) - 1)
    integral = sums[low] + (at - low)[:, None, None] * folded[low]
    rolls = np.diff(integral, axis=0) / np.maximum(np.diff(at), 1e-3)[:, None, None]
    loud = np.percentile(rolls.max(axis=2), 80, axis=0)[:, None] if len(rolls) else 1.0
    return np.asarray(rolls / np.maximum(rolls.max(axis=2, keepdims=True), 0.1 * loud + 1e-9))


def chord_features(rolls: Float, places: NDArray[np.int64]) -> Float:
    """Compute the input of the templates for each root.

    Parameters
    ----------
    rolls : ndarray, shape (beat, register, 12)
    places : ndarray, shape (beat,)
        Places in the bar.

    Returns
    -------
    ndarray, shape (root, beat, N_CHORD_FEATURES)
        Pitch classes relative to the root, on the beat, around it and in the bar; and 1.
    """
    n = len(rolls)
    sums = np.concatenate([np.zeros((1, *rolls.shape[1:])), np.cumsum(rolls, axis=0)])
    now = np.arange(n)
    spans = []
    for first, last in SPANS:
        starts = now - places if last == SPANS[-1][1] else now
        a, b = np.clip(starts + first, 0, n), np.clip(starts + last, 0, n)
        spans.append((sums[b] - sums[a]) / np.maximum(b - a, 1)[:, None, None])
    table = np.stack(spans, axis=1).reshape(n, -1, 12)
    turned = np.stack([np.roll(table, -root, axis=2) for root in range(12)]).reshape(12, n, -1)
    return np.concatenate([turned, np.ones((12, n, 1))], axis=2)


def _transition(weights: Mapping[str, NDArray[np.float32]]) -> Float:
    """Log-probability of the next chord, given a change, shape (chord, chord), from that by interval of the roots."""
    table = np.asarray(weights["chords.transition"], dtype=np.float64)  # (mode, interval, mode)
    before, after = np.arange(N_CHORDS)[:, None], np.arange(N_CHORDS)[None, :]
    return np.asarray(table[before % 2, (after // 2 - before // 2) % 12, after % 2])


def _changes(weights: Mapping[str, NDArray[np.float32]], places: NDArray[np.int64], beats_per_bar: int) -> Float:
    """Return the probability of a chord change on each beat."""
    table = np.asarray(weights["chords.change"], dtype=np.float64)  # (place of four,)
    table = table if beats_per_bar == 4 else table[[0, 1, 1]]
    return np.asarray(table[np.minimum(places, len(table) - 1)])
