"""Confidence of a note: the probability that its onset and pitch are correct, by logistic regression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MIN_PROBABILITY = 0.001
"""Probabilities are clipped to this distance from 0 and 1."""

RIDGE = 1.0
"""L2 regularisation of the fit."""


class ConfidenceFeatures(NamedTuple):
    """Measurements of one note by the decoder.

    Attributes
    ----------
    onset, voicing, agreement : float
        Probabilities of an onset at the start of the note, of voicing (mean), and of the pitch (mean).
    duration : float
        Seconds.
    """

    onset: float
    voicing: float
    agreement: float
    duration: float

    def terms(self) -> tuple[float, float, float, float, float]:
        """Compute the input of the regression: 1, three log odds, and the logarithm of the duration over 0.3 s."""
        onset, voicing, agreement = (_log_odds(value) for value in self[:3])
        return 1.0, onset, voicing, agreement, math.log(max(self.duration, 0.02) / 0.3)


def estimate_confidence(features: ConfidenceFeatures, weights: Sequence[float]) -> float:
    """Compute the confidence of a note, 0-1.

    Parameters
    ----------
    features : ConfidenceFeatures
    weights : sequence of float, length 5
        Of :meth:`ConfidenceFeatures.terms`, from :func:`fit_weights`.
    """
    log_odds = sum(weight * term for weight, term in zip(weights, features.terms(), strict=True))
    return 1 / (1 + math.exp(-min(max(log_odds, -30.0), 30.0)))


def fit_weights(features: Sequence[ConfidenceFeatures], correct: Sequence[bool]) -> tuple[float, ...]:
    """Fit the weights of the confidence (logistic regression, Newton's method).

    Parameters
    ----------
    features : sequence of ConfidenceFeatures
        Of notes decoded in recordings that the network was not trained on.
    correct : sequence of bool
        Whether onset and pitch were correct.

    Raises
    ------
    ValueError
        If there is no note, or the lengths differ.
    """
    if not features or len(features) != len(correct):
        msg = f"features has {len(features)} notes and correct {len(correct)}; both need the same number, at least one"
        raise ValueError(msg)
    terms = np.array([note.terms() for note in features])
    truth = np.asarray(correct, dtype=np.float64)
    weights = np.zeros(terms.shape[1])
    ridge = RIDGE * np.diag([0.0, *np.ones(terms.shape[1] - 1)])
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(terms @ weights, -30.0, 30.0)))
        gradient = terms.T @ (truth - expected) - ridge @ weights
        hessian = (terms * (expected * (1 - expected))[:, None]).T @ terms + ridge + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return tuple(round(float(weight), 4) for weight in weights)


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, MIN_PROBABILITY), 1 - MIN_PROBABILITY)
    return math.log(clipped) - math.log1p(-clipped)
