"""Scores of classifiers: macro F1, and how far their probabilities are from the share of right answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def macro_f1(wanted: NDArray[np.int64], chosen: NDArray[np.int64]) -> float:
    """Compute the mean F1 over the classes that occur in ``wanted``; both have the shape (example,)."""
    scores = []
    for one in np.unique(wanted):
        right = np.sum((chosen == one) & (wanted == one))
        scores.append(2.0 * right / (np.sum(chosen == one) + np.sum(wanted == one)))
    return float(np.mean(scores))


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_] | NDArray[np.float64], n_bins: int = 10
) -> float:
    """Compute the expected calibration error.

    Parameters
    ----------
    confidence : ndarray, shape (example,)
        Probability of the answer that was given, 0-1.
    right : ndarray of bool or float, shape (example,)
        1 where it was right, 0 where it was wrong.
    n_bins : int
        Bins of equal width that the confidences are sorted into.

    Returns
    -------
    float
        Mean distance of confidence and share of right answers over the bins, weighted by their examples.
    """
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [np.sum(bins == i) * abs(confidence[bins == i].mean() - right[bins == i].mean()) for i in np.unique(bins)]
    return float(np.sum(gaps) / len(confidence))
