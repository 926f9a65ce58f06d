"""Fits of the musical rules' weights to songs: key, intervals, corrections of repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hf_model.music.intended_keys import MAX_INTERVAL
from hf_model.music.key import MODES, Key, shares
from hf_model.notes.note import Note

Float = NDArray[np.float64]

RARE = 300.0
"""Notes whose intervals are as expected, added to each degree of the scale."""

CHROMATIC = 0.02
"""Share of the notes that follow no scale, set by hand: what is really sung outside the key must stay there."""


def fit_key(segments: Sequence[tuple[Sequence[Note], Key]]) -> dict[str, Any]:
    """Fit the multinomial logistic regression of :func:`hf_model.music.key.estimate_key`.

    Parameters
    ----------
    segments : sequence of (notes, key)
        In tune.

    Returns
    -------
    dict
        ``count_weights`` and ``time_weights`` by mode, ``minor_bias``: as in ``weights/music/key.json``.
    """
    degrees = (np.arange(12)[:, None] + np.arange(12)) % 12
    both = [shares(notes, 0.0) for notes, _ in segments]
    table = np.stack([np.concatenate([counts[degrees], times[degrees]], axis=1) for counts, times in both])
    right = np.array([key.tonic + 12 * (key.mode == "minor") for _, key in segments])
    index = np.arange(len(right))

    def loss(weights: Float) -> tuple[float, Float]:
        major, minor = weights[:48].reshape(2, 24)
        logits = np.concatenate([table @ major, table @ minor + weights[48]], axis=1)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        value = -np.log(share[index, right] + 1e-12).mean() + 6e-5 * (weights**2).sum()
        share[index, right] -= 1.0
        share /= len(right)
        slopes = [np.einsum("nt,ntf->f", part, table) for part in (share[:, :12], share[:, 12:])]
        return value, np.concatenate([*slopes, [share[:, 12:].sum()]]) + 12e-5 * weights

    weights = minimize(loss, np.zeros(49), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    parts = weights[:48].reshape(2, 2, 12)  # (mode, counts or times, degree)
    bias = weights[48] + parts[1].mean(axis=1).sum() - parts[0].mean(axis=1).sum()
    centred = np.round(parts - parts.mean(axis=2, keepdims=True), 1)
    return {
        "count_weights": dict(zip(MODES, centred[:, 0].tolist(), strict=True)),
        "time_weights": dict(zip(MODES, centred[:, 1].tolist(), strict=True)),
        "minor_bias": round(float(bias), 2),
    }


def fit_confidence(features: Float, right: NDArray[np.bool_], weights: Float) -> list[float]:
    """Fit the logistic regression of a confidence.

    Parameters
    ----------
    features : ndarray, shape (estimate, feature)
    right : ndarray of bool, shape (estimate,)
        Whether the estimate was right.
    weights : ndarray, shape (estimate,)
        How much each counts.

    Returns
    -------
    list of float
        The constant and the weights of :func:`hf_model.music.fitted.logistic`.
    """
    table = np.column_stack([np.ones(len(features)), features])
    share = weights / weights.sum()

    def loss(values: Float) -> tuple[float, Float]:
        logits = table @ values
        misses = 1.0 / (1.0 + np.exp(-logits)) - right
        value = share @ (np.logaddexp(0.0, logits) - right * logits) + 1e-3 * values @ values
        return float(value), (share * misses) @ table + 2e-3 * values

    values = minimize(loss, np.zeros(table.shape[1]), jac=True, method="L-BFGS-B").x
    return [round(float(value), 2) for value in values]


def fit_intervals(melodies: Sequence[tuple[Sequence[Note], Key]]) -> dict[str, Any]:
    """Count the intervals on each degree of the scale, each melody the same.

    Rare cells are filled up with the product of the interval and the degree at which it arrives.

    Returns
    -------
    dict
        ``log_intervals`` and ``log_degrees`` by mode: as in ``weights/music/intended_keys.json``.
    """
    steps = np.arange(-MAX_INTERVAL, MAX_INTERVAL + 1)
    counts = np.zeros((len(MODES), 12, len(steps)))
    for notes, key in melodies:
        keys = np.array([int(note.pitch) for note in notes])
        columns = np.clip(np.diff(keys), -MAX_INTERVAL, MAX_INTERVAL) + MAX_INTERVAL
        np.add.at(counts[MODES.index(key.mode)], ((keys[:-1] - key.tonic) % 12, columns), 40.0 / len(keys))
    arrival = (np.arange(12)[:, None] + steps) % 12
    fitted: dict[str, Any] = {"log_intervals": {}, "log_degrees": {}}
    for mode, table in zip(MODES, counts, strict=True):
        intervals, degrees = table.sum(axis=0) + 1.0, table.sum(axis=1)
        arrivals = np.bincount(arrival.ravel(), table.ravel(), 12)
        expected = intervals * (arrivals + 0.002 * arrivals.sum())[arrival]
        expected *= RARE / expected.sum(axis=1, keepdims=True)
        share = (1 - CHROMATIC) * (table + expected) / (table.sum(axis=1, keepdims=True) + RARE)
        share += CHROMATIC * intervals / intervals.sum()
        fitted["log_intervals"][mode] = np.log(share).round(2).tolist()
        degrees += 0.002 * degrees.sum()
        fitted["log_degrees"][mode] = np.log(degrees / degrees.sum()).round(2).tolist()
    return fitted


def fit_logistic(examples: Sequence[tuple[Float, float]]) -> list[float]:
    """Fit a logistic regression to pairs of features (feature,), the first of them 1, and truth (0 or 1)."""
    x, y = np.array([pair[0] for pair in examples]), np.array([pair[1] for pair in examples])

    def loss(w: Float) -> float:
        return float(np.logaddexp(0, -(2 * y - 1) * (x @ w)).sum() + 0.01 * np.square(w[1:]).sum())

    weights: list[float] = minimize(loss, np.zeros(x.shape[1])).x.round(2).tolist()
    return weights
