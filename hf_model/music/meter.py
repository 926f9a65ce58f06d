"""Metres, and how likely the onsets of a melody are under each.

Onsets are steps on a grid of sixteenths. A rhythm is a table: the probability of the distance to the
next onset at each place of the bar, counted in tunes of one metre and style. A reading of a melody is a rhythm, a grid
and the place of the first onset in the bar; its score is a weighted sum of log-likelihoods, of how often the rhythm of
a bar returns in the next ones, and of a prior of the tempo. The weights are fitted so that the scores are
log-probabilities (:mod:`hf_model.training.meter_fitting`).

References
----------
Temperley (2007), Music and Probability, chapter 2, for the generative model of metre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hf_model.music.beat_tracking import Grids, returning_melodies, returning_rhythms
from hf_model.music.fitted import load_fitted

MAX_DISTANCE = 32
"""Steps; longer distances count as this."""

RETURNS = (1, 2, 4)
"""Bars after which a rhythm may return."""

PHASE_WEIGHT = 0.5
"""Weight of the rhythm against the timing in the choice of a grid's phase."""

CENTRES = {4: 100.0, 6: 62.0}
"""Beats per minute by steps per beat, from which the prior of the tempo is measured in octaves."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Meter:
    """A metre.

    Attributes
    ----------
    name : str
        "4/4".
    steps_per_beat : int
        Sixteenths: 4, or 6 in compound metres.
    n_places : int
        Steps in a bar.
    """

    name: str
    steps_per_beat: int
    n_places: int

    @property
    def is_compound(self) -> bool:
        """Whether a beat has three parts."""
        return self.steps_per_beat == 6

    @property
    def signature(self) -> tuple[int, int]:
        """Time signature."""
        upper, _, lower = self.name.partition("/")
        return int(upper), int(lower)


@dataclass(frozen=True, eq=False)
class Rhythm:
    """The rhythms of a metre in one style.

    Attributes
    ----------
    meter : Meter
    log_transitions : ndarray, shape (place, distance)
        Log-probability of the distance to the next onset, 0 to ``MAX_DISTANCE``, at each place of the bar.
    log_accents : ndarray, shape (place, accent)
        Log-odds of each of the kinds of :func:`accents` at each place, against all places.
    log_first, log_last : ndarray, shape (place,)
        Log-probability that the first and the last note is there, against all places.
    tempo : (float, float)
        Weights of :func:`tempo_features`: each style has its usual tempi.
    bias : float
        Log-odds of the rhythm.
    """

    meter: Meter
    log_transitions: Float
    log_accents: Float
    log_first: Float
    log_last: Float
    tempo: tuple[float, float] = (0.0, 0.0)
    bias: float = 0.0

    def log_likelihood(self, steps: NDArray[np.int64]) -> Float:
        """Compute the log-likelihood of onsets.

        Parameters
        ----------
        steps : ndarray, shape (note, grid)
            The step of each onset on each grid, not decreasing, the first 0.

        Returns
        -------
        ndarray, shape (place, grid)
            Row p: the first onset is at step p of the bar.
        """
        distances = np.minimum(np.diff(steps, axis=0), MAX_DISTANCE)
        n = self.meter.n_places
        cells = steps[:-1] % n * (MAX_DISTANCE + 1) + distances
        return np.stack([np.roll(self.log_transitions, -p, axis=0).ravel()[cells].sum(axis=0) for p in range(n)])

    def melody_features(self, steps: NDArray[np.int64], kinds: NDArray[np.int64], chosen: NDArray[np.int64]) -> Float:
        """Compute the log-odds of accents, first and last note, (3, place, period), on the ``chosen`` grids."""
        places = np.arange(self.meter.n_places)[:, None]
        accents_at = np.zeros(chosen.shape)
        for row, kind in zip(steps, kinds, strict=True):
            accents_at += self.log_accents[(row[chosen] + places) % self.meter.n_places, kind]
        first, last = ((steps[row][chosen] + places) % self.meter.n_places for row in (0, -1))
        return np.stack([accents_at, self.log_first[first], self.log_last[last]])

    def repeated(self, meter: Meter) -> Rhythm:
        """Return the rhythm of a metre with twice as long bars."""
        return Rhythm(
            meter,
            np.tile(self.log_transitions, (2, 1)),
            np.tile(self.log_accents, (2, 1)),
            np.tile(self.log_first, 2),
            np.tile(self.log_last, 2),
            self.tempo,
            self.bias - math.log(2),
        )


N_ACCENTS = 24
"""Kinds of :func:`accents`."""

SCALE = np.array([1.0, -0.6, 0.4, 0.0, 0.6, 0.3, -0.9, 0.8, -0.6, 0.3, -0.3, 0.2])
"""How much time on each degree speaks for a tonic; the mode does not matter here."""

LAST_IS_TONIC = 0.15
"""What the last note adds, as a share of the time."""


def accents(pitches: Float, durations: Float) -> NDArray[np.int64]:
    """Sort notes into kinds by what makes them sound accented: how they are reached, their height, their degree.

    Parameters
    ----------
    pitches : ndarray, shape (note,)
        MIDI numbers in tune.
    durations : ndarray, shape (note,)
        Seconds.

    Returns
    -------
    ndarray of int, shape (note,)
        0 to ``N_ACCENTS`` - 1: 3 kinds of arrival, 2 of contour, 4 of degree.
    """
    keys = np.floor(pitches + 0.5).astype(np.int64)
    steps = np.diff(keys, prepend=keys[:1])
    arrival = np.select([steps == 0, np.abs(steps) <= 2], [0, 1], 2)
    following = np.diff(keys, append=keys[-1:])
    is_peak = (steps > 0) & (following < 0)
    degree = (keys - _tonic(keys, durations)) % 12
    stable = np.select([degree == 0, (degree == 7), (degree == 4) | (degree == 3)], [0, 1, 2], 3)
    return np.asarray((arrival * 2 + is_peak) * 4 + stable)


def _tonic(keys: NDArray[np.int64], durations: Float) -> int:
    """Guess the tonic of a melody from the time on each pitch class, and its last note."""
    times = np.bincount(keys % 12, np.clip(durations, 0.05, 2.0), 12)
    scores = np.array([np.roll(SCALE, tonic) @ times for tonic in range(12)]) / times.sum()
    scores[keys[-1] % 12] += LAST_IS_TONIC
    return int(scores.argmax())


def tempo_features(tempo: Float, steps_per_beat: int) -> Float:
    """Compute the terms of the prior of the tempo, (2, grid): octaves from the centre, and their square."""
    octaves = np.log2(tempo / CENTRES[steps_per_beat])
    return np.stack([octaves, octaves**2])


METERS = {
    meter.name: meter
    for meter in (
        Meter("2/4", 4, 8),
        Meter("3/4", 4, 12),
        Meter("4/4", 4, 16),
        Meter("6/8", 6, 12),
        Meter("9/8", 6, 18),
        Meter("12/8", 6, 24),
    )
}
"""By time signature. The beat of 6/8 is the dotted quarter; a tune in triplets may be estimated as 6/8."""

HALVES = {"4/4": "2/4", "12/8": "6/8"}
"""Metres whose bars are two of another one, from which a melody alone does not tell them."""

ESTIMATED = ("4/4", "3/4", "6/8")
"""Candidates of the estimation: without one of each pair of ``HALVES``."""


@dataclass(frozen=True, eq=False)
class MeterModel:
    """Rhythms and the weights of a reading's features.

    Attributes
    ----------
    rhythms : tuple of Rhythm
    rhythm, fit : float
        Weights of the log-likelihoods of rhythm and timing.
    returns : tuple of float
        Weights of the rhythms that return after each of ``RETURNS``.
    melody : tuple of float
        Weights of accents, first and last note, and of the keys that return after each of ``RETURNS``.
    """

    rhythms: tuple[Rhythm, ...]
    rhythm: float
    fit: float
    returns: tuple[float, ...]
    melody: tuple[float, ...]

    def rhythms_of(self, meters: Sequence[Meter]) -> list[Rhythm]:
        """Return the rhythms of these metres; those of one of ``HALVES``, two bars as one, unless it is among them."""
        found = [rhythm for rhythm in self.rhythms if rhythm.meter in meters]
        for whole, half in HALVES.items():
            if METERS[whole] in meters and METERS[half] not in meters:
                found += [rhythm.repeated(METERS[whole]) for rhythm in self.rhythms if rhythm.meter.name == half]
        return found

    @classmethod
    def load(cls) -> MeterModel:
        """Read the model that ships."""
        fitted = load_fitted("meter")
        names = ("log_transitions", "log_accents", "log_first", "log_last")
        rhythms = tuple(
            Rhythm(
                METERS[item["meter"]],
                **{name: np.array(item[name]) for name in names},
                tempo=tuple(item["tempo"]),
                bias=item["bias"],
            )
            for item in fitted["rhythms"]
        )
        return cls(rhythms, fitted["rhythm"], fitted["fit"], tuple(fitted["returns"]), tuple(fitted["melody"]))


@cache
def default_meter_model() -> MeterModel:
    """Return the model that ships, loaded once per process."""
    return MeterModel.load()


@dataclass(frozen=True, eq=False)
class Readings:
    """Readings of a melody.

    Attributes
    ----------
    features : ndarray, shape (reading, feature)
        Log-likelihood of the rhythm and of the timing, the returning rhythms, and what ``MeterModel.melody`` weighs.
    rhythms, places, grids : ndarray of int, shape (reading,)
        Index of the rhythm; place of the first onset in the bar, in steps; column of the grids.
    bpm : ndarray, shape (reading,)
        Beats per minute.
    """

    features: Float
    rhythms: NDArray[np.int64]
    places: NDArray[np.int64]
    grids: NDArray[np.int64]
    bpm: Float


def list_readings(grids: Grids, n_phases: int, rhythms: Sequence[Rhythm], pitches: Float, durations: Float) -> Readings:
    """List the readings: of the ``n_phases`` grids of one period, the one that fits best at each place of the bar."""
    steps = grids.steps - grids.steps[:1]
    features, numbers, places, columns = [], [], [], []
    kinds, keys = accents(pitches, durations), np.floor(pitches + 0.5).astype(np.int64)
    lags = {bars * rhythm.meter.n_places for rhythm in rhythms for bars in RETURNS}
    returning = {lag: (returning_rhythms(steps, lag), returning_melodies(steps, keys, lag)) for lag in lags}
    for number, rhythm in enumerate(rhythms):
        n = rhythm.meter.n_places
        likelihood = rhythm.log_likelihood(steps)
        sums = (PHASE_WEIGHT * likelihood + grids.fit).reshape(n, -1, n_phases)
        chosen = sums.argmax(axis=2) + n_phases * np.arange(sums.shape[1])  # (place, period)
        returns = [returning[bars * n][0][chosen] for bars in RETURNS]
        melody = [*rhythm.melody_features(steps, kinds, chosen)]
        melody += [returning[bars * n][1][chosen] for bars in RETURNS]
        of_rhythm = np.stack(
            [np.take_along_axis(likelihood, chosen, axis=1), grids.fit[chosen], *returns, *melody], axis=-1
        )
        features.append(of_rhythm.reshape(chosen.size, -1))
        numbers.append(np.full(chosen.size, number))
        places.append(np.repeat(np.arange(n), chosen.shape[1]))
        columns.append(chosen.ravel())
    index, column = np.concatenate(numbers), np.concatenate(columns)
    parts = np.array([rhythm.meter.steps_per_beat for rhythm in rhythms])
    bpm = 60.0 / (grids.periods[column] * parts[index])
    return Readings(np.concatenate(features), index, np.concatenate(places), column, np.asarray(bpm))


def score_readings(readings: Readings, model: MeterModel, rhythms: Sequence[Rhythm], *, is_tempo_known: bool) -> Float:
    """Compute the log-probability of each reading, up to a constant."""
    weights = np.array([model.rhythm, model.fit, *model.returns, *model.melody])
    scores = readings.features @ weights + np.array([rhythm.bias for rhythm in rhythms])[readings.rhythms]
    if is_tempo_known:
        return np.asarray(scores)
    for number, rhythm in enumerate(rhythms):
        rows = readings.rhythms == number
        scores[rows] += np.array(rhythm.tempo) @ tempo_features(readings.bpm[rows], rhythm.meter.steps_per_beat)
    return np.asarray(scores)
