"""Metres and the likelihood of a melody's onsets under each.

Onsets are steps on a grid (sixteenths; eighths in 6/8). Each metre has two fitted tables: the distances from onset to
onset, and the places of onsets in the bar. A song keeps its own rhythmic habits, many eighths or many syncopations: so
the tables are the mean of a Dirichlet distribution from which each song draws its own, and the likelihood is that of
its counts (:meth:`Meter.of_counts`). Half and double tempo, and the bar line, are chosen by the tables themselves
(:meth:`Meter.of_transitions`), as there the average of all songs is more informative.

References
----------
Temperley (2007), Music and Probability, chapter 2, for the generative model of metre; Minka (2000), Estimating a
Dirichlet distribution, for the likelihood of counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from hf_model.music.fitted import load_fitted

MAX_DISTANCE = 32
"""Steps; longer distances count as this."""

_MIN_SHARE = 4e-4
_DISTANCE_PSEUDOCOUNT = 3.0
_PLACE_PSEUDOCOUNT = 30.0


@dataclass(frozen=True, eq=False)
class Meter:
    """A metre and the rhythms that are common in it.

    Attributes
    ----------
    name : str
        "4/4".
    steps_per_beat : int
        4 sixteenths, or 3 eighths in 6/8.
    log_prior : float
        Logarithm of how common it is.
    distances : tuple of float
        Share of each distance from onset to onset: 1 step, 2 steps, and so on.
    places : tuple of float
        Share of onsets at each step of the bar.
    """

    name: str
    steps_per_beat: int
    log_prior: float
    distances: tuple[float, ...]
    places: tuple[float, ...]

    @property
    def n_places(self) -> int:
        """Steps in a bar."""
        return len(self.places)

    @property
    def signature(self) -> tuple[int, int]:
        """Time signature."""
        upper, _, lower = self.name.partition("/")
        return int(upper), int(lower)

    @cached_property
    def _distance_shares(self) -> NDArray[np.float64]:
        shares = np.full(MAX_DISTANCE + 1, _MIN_SHARE)
        shares[1 : len(self.distances) + 1] = np.maximum(self.distances, _MIN_SHARE)
        return np.asarray(shares / shares.sum())

    @cached_property
    def _place_shares(self) -> NDArray[np.float64]:
        shares = np.array(self.places, dtype=np.float64)
        return np.asarray(shares / shares.sum())

    @cached_property
    def _transitions(self) -> NDArray[np.float64]:
        """Log-probability of the next distance at each place of the bar, shape (place, distance)."""
        arrival = (np.arange(self.n_places)[:, None] + np.arange(MAX_DISTANCE + 1)) % self.n_places
        joint = self._distance_shares * self._place_shares[arrival]
        return np.asarray(np.log(joint / joint.sum(axis=1, keepdims=True)))

    def of_counts(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the log-likelihood of rhythms, each with its own habits.

        Parameters
        ----------
        steps : ndarray, shape (note, grid)
            The step of each onset on each grid, not decreasing.

        Returns
        -------
        ndarray, shape (place, grid)
            Row p: step 0 is step p of the bar.
        """
        distances = np.minimum(np.diff(steps, axis=0), MAX_DISTANCE)
        of_distances = _dirichlet(_count(distances, MAX_DISTANCE + 1), _DISTANCE_PSEUDOCOUNT * self._distance_shares)
        counts = _count(steps % self.n_places, self.n_places)
        alpha = _PLACE_PSEUDOCOUNT * self._place_shares
        shifted = [_dirichlet(np.roll(counts, shift, axis=1), alpha) for shift in range(self.n_places)]
        return np.asarray(np.stack(shifted) + of_distances + len(steps) * np.log(self.n_places))

    def of_transitions(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the log-likelihood of rhythms under the tables as they are: shapes as in :meth:`of_counts`."""
        distances = np.minimum(np.diff(steps, axis=0), MAX_DISTANCE)
        shifts = np.arange(self.n_places)[:, None, None]
        places = (steps[:-1] + shifts) % self.n_places
        return np.asarray(self._transitions[places, distances].sum(axis=1))


def _count(values: NDArray[np.int64], n_values: int) -> NDArray[np.int64]:
    """Count the values (note, grid) of each grid: (grid, value)."""
    n_grids = values.shape[1]
    cells = (values + n_values * np.arange(n_grids)).ravel()
    return np.bincount(cells, minlength=n_grids * n_values).reshape(n_grids, n_values)


def _dirichlet(counts: NDArray[np.int64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probability of counts (grid, value) under a Dirichlet-multinomial distribution with ``alpha`` (value,)."""
    total, n_drawn = alpha.sum(), counts.sum(axis=1)
    # Counts are small integers: a look-up table is ten times faster than the function.
    table = gammaln(np.arange(int(counts.max(initial=0)) + 1)[:, None] + alpha) - gammaln(alpha)
    return np.asarray(table[counts, np.arange(len(alpha))].sum(axis=1) + gammaln(total) - gammaln(total + n_drawn))


def _read_meters() -> dict[str, Meter]:
    fitted = load_fitted("meter")
    common, triple, compound = (fitted[name] for name in ("4/4", "3/4", "6/8"))
    distances, places = tuple(common["distances"]), tuple(common["places"])
    half_bar = tuple(a + b for a, b in zip(places[:8], places[8:], strict=True))
    meters = [
        Meter("2/4", 4, 0.0, distances, half_bar),
        # The distances of 4/4, so that the places in the bar decide: the few songs in 3/4 are not typical in tempo.
        Meter("3/4", 4, triple["log_prior"], distances, tuple(triple["places"])),
        Meter("4/4", 4, common["log_prior"], distances, places),
        Meter("6/8", 3, compound["log_prior"], tuple(compound["distances"]), tuple(compound["places"])),
    ]
    return {meter.name: meter for meter in meters}


METERS = _read_meters()
"""By time signature. The beat of 6/8 is the dotted quarter; a tune in triplets may be estimated as 6/8."""

ESTIMATED = ("4/4", "3/4", "6/8")
"""Candidates of the estimation: 2/4 cannot be distinguished from 4/4 in a melody alone."""
