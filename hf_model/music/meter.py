"""What rhythms look like: how likely a melody's onsets are under a metre, from 705 pop songs.

A melody is a row of places on a grid of steps (sixteenths; eighths in 6/8). Two things are learned for each metre: how
far it is from one onset to the next, and where in the bar onsets fall. A song does not follow the average of all songs:
it likes eighths, or it likes syncopes, and stays with them. So the tables are the middle of a Dirichlet distribution
from which each song draws its own, and a rhythm's likelihood is that of its counts. Among tempi that explain the same
onsets at half or double speed, and for the bar line, the tables themselves decide: there what is common says more.

References
----------
Temperley (2007), Music and Probability, chapter 2, for the generative view of metre; Minka (2000), Estimating a
Dirichlet distribution, for the likelihood of counts. Tables: ``python bench/music.py --fit``, from the songs of POP909
that are not held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

LONGEST = 32
"""Steps; longer distances count as this."""

_FLOOR = 4e-4
_DISTANCE_PSEUDOCOUNT = 3.0
_PLACE_PSEUDOCOUNT = 30.0


@dataclass(frozen=True, eq=False)
class Meter:
    """A metre and its rhythms.

    Attributes
    ----------
    name : str
        "4/4".
    steps_per_beat : int
        4 sixteenths, or 3 eighths in 6/8.
    log_prior : float
        How common it is.
    distances : tuple of float
        Share of each distance from onset to onset: 1 step, 2 steps and so on.
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
        shares = np.full(LONGEST + 1, _FLOOR)
        shares[1 : len(self.distances) + 1] = np.maximum(self.distances, _FLOOR)
        return np.asarray(shares / shares.sum())

    @cached_property
    def _place_shares(self) -> NDArray[np.float64]:
        shares = np.array(self.places, dtype=np.float64)
        return np.asarray(shares / shares.sum())

    @cached_property
    def _transitions(self) -> NDArray[np.float64]:
        """Log-probability of the next distance at each place of the bar, shape (place, distance)."""
        arrival = (np.arange(self.n_places)[:, None] + np.arange(LONGEST + 1)) % self.n_places
        joint = self._distance_shares * self._place_shares[arrival]
        return np.asarray(np.log(joint / joint.sum(axis=1, keepdims=True)))

    def of_counts(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-likelihood of rhythms that keep habits of their own.

        Parameters
        ----------
        steps : ndarray, shape (note, grid)
            The step of each onset on each of many grids, not falling.

        Returns
        -------
        ndarray, shape (place, grid)
            One row for each step of the bar that step 0 could be.
        """
        distances = np.minimum(np.diff(steps, axis=0), LONGEST)
        habit = _dirichlet(_count(distances, LONGEST + 1), _DISTANCE_PSEUDOCOUNT * self._distance_shares)
        counts = _count(steps % self.n_places, self.n_places)
        alpha = _PLACE_PSEUDOCOUNT * self._place_shares
        shifted = [_dirichlet(np.roll(counts, shift, axis=1), alpha) for shift in range(self.n_places)]
        return np.asarray(np.stack(shifted) + habit + len(steps) * np.log(self.n_places))

    def of_transitions(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-likelihood of rhythms as common as the tables say: shapes as in :meth:`of_counts`."""
        distances = np.minimum(np.diff(steps, axis=0), LONGEST)
        shifts = np.arange(self.n_places)[:, None, None]
        places = (steps[:-1] + shifts) % self.n_places
        return np.asarray(self._transitions[places, distances].sum(axis=1))


def _count(values: NDArray[np.int64], n_values: int) -> NDArray[np.int64]:
    """Count values (note, grid) for each grid: (grid, value)."""
    n_grids = values.shape[1]
    cells = (values + n_values * np.arange(n_grids)).ravel()
    return np.bincount(cells, minlength=n_grids * n_values).reshape(n_grids, n_values)


def _dirichlet(counts: NDArray[np.int64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probability of a row with these counts (grid, value), its shares drawn around alpha (value,)."""
    total, n_drawn = alpha.sum(), counts.sum(axis=1)
    # Counts are small whole numbers: a table is ten times faster than the function.
    table = gammaln(np.arange(int(counts.max(initial=0)) + 1)[:, None] + alpha) - gammaln(alpha)
    return np.asarray(table[counts, np.arange(len(alpha))].sum(axis=1) + gammaln(total) - gammaln(total + n_drawn))


_QUADRUPLE = Meter(
    "4/4",
    4,
    -0.04,
    (0.261, 0.470, 0.048, 0.112, 0.009, 0.032, 0.005, 0.021, 0.003, 0.007, 0.002, 0.008, 0.001, 0.005, 0.001, 0.007),
    (0.138, 0.017, 0.091, 0.038, 0.098, 0.018, 0.093, 0.036, 0.110, 0.014, 0.072, 0.029, 0.093, 0.019, 0.095, 0.039),
)
_DUPLE = Meter(
    "2/4",
    4,
    0.0,
    _QUADRUPLE.distances,
    tuple(a + b for a, b in zip(_QUADRUPLE.places[:8], _QUADRUPLE.places[8:], strict=True)),
)
_TRIPLE = Meter(
    "3/4",
    4,
    -9.0,  # 3 % of the songs are in 3/4; at that prior five times as many would be called so
    _QUADRUPLE.distances,  # so that where notes lie in the bar decides, not how fast the songs in 3/4 happen to be
    (0.284, 0.003, 0.076, 0.007, 0.175, 0.004, 0.100, 0.010, 0.188, 0.005, 0.142, 0.007),
)
_COMPOUND = Meter(
    "6/8",
    3,
    -9.0,
    (0.55, 0.17, 0.14, 0.02, 0.015, 0.04, 0.005, 0.01, 0.01, 0.002, 0.003, 0.01),
    (0.263, 0.085, 0.148, 0.199, 0.108, 0.2),
)

METERS = {meter.name: meter for meter in (_DUPLE, _TRIPLE, _QUADRUPLE, _COMPOUND)}
"""By time signature. The beat of 6/8 is the dotted quarter; triplets throughout may be found as 6/8."""

ESTIMATED = ("4/4", "3/4", "6/8")
"""Those that are looked for when the user names none: 2/4 cannot be told from 4/4 by ear alone."""
