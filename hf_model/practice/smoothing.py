"""Smooth curves through points some of which are wrong: robust local linear regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

REACH = 6.0
"""Seconds to either side that count."""

MIN_POINTS = 10
"""Points that count at least, wherever they are."""

ITERATIONS = 4
"""After each, points far from the curve lose weight."""

CUT = 6.0
"""Medians of the distances at which a point no longer counts (Cleveland's bisquare)."""


def smooth(x: Float, y: Float, at: Float, reach: float = REACH) -> Float:
    """Fit a smooth curve to points and give its values.

    Parameters
    ----------
    x, y : ndarray, shape (point,)
        At least one; x in seconds.
    at : ndarray, shape (place,)
        Where the curve is wanted; outside the points it goes on straight.
    reach : float
        Seconds.

    References
    ----------
    W. S. Cleveland, "Robust locally weighted regression and smoothing scatterplots", JASA 74 (1979).
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    robustness = np.ones(len(x))
    for _ in range(ITERATIONS):
        rest = np.abs(y - _fit(x, y, robustness, x, reach))
        scale = max(float(np.median(rest)) * CUT, 1e-6)
        robustness = np.square(1 - np.square(np.minimum(rest / scale, 1.0)))
    return _fit(x, y, robustness, at, reach)


def _fit(x: Float, y: Float, robustness: Float, at: Float, reach: float) -> Float:
    """Fit a line around each place; ``robustness`` (point,) weights the points."""
    inside = np.clip(at, x[0], x[-1])  # a line of the outermost points is what goes on
    distance = np.abs(inside[:, None] - x[None, :])
    nearest = np.sort(distance, axis=1)[:, min(MIN_POINTS, len(x)) - 1]
    width = np.maximum(reach, 1.1 * nearest)[:, None]
    weights = robustness * (1 - np.minimum(distance / width, 1.0) ** 3) ** 3 + 1e-9
    total = weights.sum(axis=1)
    middle_x, middle_y = weights @ x / total, weights @ y / total
    spread = weights @ np.square(x) / total - np.square(middle_x)
    common = weights @ (x * y) / total - middle_x * middle_y
    slope = np.where(spread > 1e-9, common / np.maximum(spread, 1e-9), 0.0)
    return np.asarray(middle_y + slope * (at - middle_x))
