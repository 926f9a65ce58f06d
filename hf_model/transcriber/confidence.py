"""How sure a note is: what the decoder saw of it, weighed to the chance that its onset and pitch are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SURE = 0.001
"""No probability counts as nearer to 0 or 1 than this."""

PULL = 1.0
"""Ridge of the fit: as if one note contradicted each weight."""


class Clues(NamedTuple):
    """What the decoder saw of one note.

    Attributes
    ----------
    onset, voicing, agreement : float
        Probabilities: of an onset where the note starts, of a voice on average inside it, and of its pitch.
    duration : float
        Seconds.
    """

    onset: float
    voicing: float
    agreement: float
    duration: float

    def terms(self) -> tuple[float, float, float, float, float]:
        """Give what the weights multiply: 1, three log odds, and the logarithm of the duration over 0.3 s."""
        onset, voicing, agreement = (_log_odds(min(max(one, SURE), 1 - SURE)) for one in self[:3])
        return 1.0, onset, voicing, agreement, math.log(max(self.duration, 0.02) / 0.3)


def chance(clues: Clues, weights: Sequence[float]) -> float:
    """Weigh the clues to a chance, 0-1.

    Parameters
    ----------
    clues : Clues
    weights : sequence of float, length 5
        Of :meth:`Clues.terms`, as :func:`fit_weights` finds them.
    """
    weighed = sum(weight * term for weight, term in zip(weights, clues.terms(), strict=True))
    return 1 / (1 + math.exp(-min(max(weighed, -30.0), 30.0)))


def fit_weights(clues: Sequence[Clues], right: Sequence[bool]) -> tuple[float, ...]:
    """Find the weights under which the chances are those of being right (logistic regression, Newton's method).

    Parameters
    ----------
    clues : sequence of Clues
        Of notes that a decoder found in recordings that its network never met.
    right : sequence of bool
        Whether onset and pitch were right.

    Raises
    ------
    ValueError
        If there is no note, or not as many answers as notes.
    """
    if not clues or len(clues) != len(right):
        msg = f"clues has {len(clues)} notes and right {len(right)} answers; both need the same number, at least one"
        raise ValueError(msg)
    terms = np.array([one.terms() for one in clues])
    truth = np.asarray(right, dtype=np.float64)
    weights = np.zeros(terms.shape[1])
    pull = PULL * np.diag([0.0, *np.ones(terms.shape[1] - 1)])
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(terms @ weights, -30.0, 30.0)))
        slope = terms.T @ (truth - expected) - pull @ weights
        bend = (terms * (expected * (1 - expected))[:, None]).T @ terms + pull + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return tuple(round(float(weight), 4) for weight in weights)


def _log_odds(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)
