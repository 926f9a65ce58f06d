"""The keys that a singer meant: sung pitches to piano keys, with a tuning that drifts and the melody's own logic.

A hidden Markov model. A state is a key (tonic and mode), the tuning and the piano key of a note. The tuning is a random
walk that may jump, most likely after a rest. A piano key follows another with the probability of the interval on that
degree of the scale, counted in melodies. The sung pitch is the piano key plus the tuning plus an error of Gaussian
distribution with an outlier component. Four habits of singers are compared by their evidence: none, exactness, flat
thirds, and leaps that are too small. Each note gets the piano key of the highest posterior probability.

References
----------
Rabiner (1989), A tutorial on hidden Markov models: forward-backward algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hf_model.music.fitted import load_fitted
from hf_model.music.key import MODES
from hf_model.notes.note import Note
from hf_model.notes.pitch import estimate_tuning

Float = NDArray[np.float64]

MAX_INTERVAL = 16
"""Semitones; larger intervals count as this."""

TUNINGS = np.arange(-24, 25) / 10.0
"""Semitones from the tuning at the start."""

OFFSETS = np.arange(-3, 4)
"""Semitones between the nearest piano key and the candidates."""

REST = 0.2
"""Seconds between two notes."""

SHORT_NOTE = 0.25
"""Seconds; shorter notes are less exact."""

STEADY = 0.6
"""Mean resultant length of the fractional pitches from which one tuning describes the whole recording."""

START_SECONDS = 8.0
"""Otherwise the tuning of the first seconds counts, with this time constant."""

MAX_JUMP = 1.3
"""Semitones: largest jump of the tuning; what is larger is another melody."""

THIRDS = {"major": 4, "minor": 3}
LEAP, LEAP_MEMORY = 1.7, 0.6
"""Semitones from which an interval is a leap; share of its error that remains in the next note."""

EXACT = 0.0015
"""Semitones from a piano key of a note that was set by a user: files have three decimals."""

BLOCK = 300
"""Notes that are estimated together."""

MIN_KEY, MAX_KEYS = 0.01, 12
"""Only keys with this posterior probability, at most so many, are tried with the other habits."""


@dataclass(frozen=True, eq=False)
class SingingModel:
    """Probabilities of melodies, and the errors of singers.

    Attributes
    ----------
    log_intervals : ndarray, shape (mode, degree, 2 * MAX_INTERVAL + 1)
        Log-probability of the next interval on each degree (semitones above the tonic).
    log_degrees : ndarray, shape (mode, degree)
        Log-probability of the first degree.
    melody : float
        Weight of the melody against the pitch.
    error, outliers, outlier_error : float
        Standard deviation of a note in semitones, share of outliers, and their standard deviation.
    short : float
        Share by which the error of the shortest notes is larger.
    walk, walk_second : float
        Standard deviation of the tuning's walk: per note, and per square root of a second.
    jump_in_rest, jump, jump_size : float
        Probability of a jump of the tuning after a rest and elsewhere; its standard deviation in semitones.
    start : float
        Standard deviation of the first tuning.
    modulation : float
        Probability that the key changes.
    habits : sequence of (float, float, float, float)
        Factor of errors and walk, error of the thirds in semitones, share by which leaps are too small, and
        log-probability.
    """

    log_intervals: Float
    log_degrees: Float
    melody: float
    error: float
    outliers: float
    outlier_error: float
    short: float
    walk: float
    walk_second: float
    jump_in_rest: float
    jump: float
    jump_size: float
    start: float
    modulation: float
    habits: Sequence[tuple[float, float, float, float]]


@cache
def default_singing_model() -> SingingModel:
    """Read the model that ships, once per process."""
    fitted = load_fitted("intended_keys")
    tables = {name: np.array([fitted[name][mode] for mode in MODES]) for name in ("log_intervals", "log_degrees")}
    return SingingModel(**{**fitted, **tables})


def estimate_intended_keys(
    notes: Sequence[Note], tuning: float, model: SingingModel | None = None
) -> NDArray[np.int64]:
    """Estimate the piano keys that were meant.

    Parameters
    ----------
    notes : sequence of Note
        Float pitches, sorted by onset. A note of confidence 1 that is exactly a piano key in this tuning was set by a
        user: it stays.
    tuning : float
        Of the whole recording, in semitones from 440 Hz.
    model : SingingModel, optional

    Returns
    -------
    ndarray of int, shape (note,)
        MIDI numbers; of a singer who is in tune, those of :func:`hf_model.notes.note.to_keys`.
    """
    model = model or default_singing_model()
    nearest = np.floor(np.array([note.pitch for note in notes]) - tuning + 0.5)
    is_set = [
        note.confidence == 1 and abs(note.pitch - tuning - key) < EXACT
        for note, key in zip(notes, nearest, strict=True)
    ]
    if all(is_set):
        return nearest.astype(np.int64)
    found: list[int] = []
    for first in range(0, len(notes), BLOCK):
        block = slice(first, first + BLOCK)
        if first:  # memory is limited; the tuning goes on
            known = zip(notes[first - BLOCK // 20 : first], found[-(BLOCK // 20) :], strict=True)
            tuning = float(np.median([note.pitch - key for note, key in known]))
        start = tuning if first else _first_tuning(notes[block], tuning)
        keys = np.where(is_set[block], nearest[block], -1).astype(np.int64)
        found += _estimate_block(notes[block], start, keys, model)
    return np.array(found, dtype=np.int64)


def with_intended_pitches(notes: Sequence[Note], tuning: float) -> list[Note]:
    """Replace the pitch of each note by that of the key that was meant, in the tuning of the whole recording."""
    keys = estimate_intended_keys(notes, tuning)
    pitches = np.clip(keys + tuning, 0.0, 127.0)
    return [replace(note, pitch=float(pitch)) for note, pitch in zip(notes, pitches, strict=True)]


def _estimate_block(notes: Sequence[Note], tuning: float, known: NDArray[np.int64], model: SingingModel) -> list[int]:
    """Estimate the keys of notes; ``known`` are those that are certain, -1 elsewhere."""
    chain = _Chain.build(notes, tuning, known, model)
    first, first_evidence = chain.run(np.arange(24), model.habits[:1])
    of_key = first[0, 0].sum(axis=1)
    n_kept = int(np.clip((of_key > MIN_KEY).sum(), 1, MAX_KEYS))
    others, other_evidence = chain.run(np.argsort(-of_key)[:n_kept], model.habits[1:])
    posteriors = np.concatenate([first.sum(axis=2), others.sum(axis=2)])
    evidence = np.concatenate([first_evidence, other_evidence]) + np.array(model.habits)[:, 3]
    weights = np.exp(evidence - evidence.max())
    best = np.tensordot(weights, posteriors, 1).argmax(axis=1)
    keys: list[int] = chain.keys[np.arange(len(notes)), best].tolist()
    return keys


def _first_tuning(notes: Sequence[Note], tuning: float) -> float:
    """Return the tuning of the first seconds if one tuning does not describe the whole recording."""
    durations = np.array([note.duration for note in notes])
    sung = np.array([note.pitch for note in notes])
    if np.abs(durations @ np.exp(2j * np.pi * sung)) / durations.sum() >= STEADY:
        return tuning
    since = np.array([note.onset - notes[0].onset for note in notes])
    first = estimate_tuning(sung, durations * np.exp(-since / START_SECONDS))
    return float(first + np.rint(tuning - first))


@dataclass(frozen=True, eq=False)
class _Chain:
    """The states of the notes, and what does not depend on key and habit.

    ``keys`` (note, candidate) are MIDI numbers; ``pitches``, ``errors`` (note,) the sung pitches from the tuning at the
    start, and the standard deviations of their errors; ``walk``, ``jump`` (note - 1,) the standard deviations of the
    tuning's steps and the probabilities of its jumps; ``known`` (note,) whether the key is the middle candidate.
    """

    model: SingingModel
    keys: NDArray[np.int64]
    pitches: Float
    errors: Float
    walk: Float
    jump: Float
    known: NDArray[np.bool_]

    @classmethod
    def build(cls, notes: Sequence[Note], tuning: float, known: NDArray[np.int64], model: SingingModel) -> _Chain:
        onsets, offsets, sung = (np.array([getattr(n, name) for n in notes]) for name in ("onset", "offset", "pitch"))
        durations, pitches = offsets - onsets, sung - tuning
        middle = np.where(known >= 0, known, np.floor(pitches + 0.5).astype(np.int64))
        errors = model.error * (1 + model.short * np.clip(1 - durations / SHORT_NOTE, 0, 1))
        is_rest = onsets[1:] - offsets[:-1] > REST
        walk = np.hypot(model.walk, model.walk_second * np.sqrt(np.diff(onsets)))
        jump = np.where(is_rest, model.jump_in_rest, model.jump)
        return cls(model, middle[:, None] + OFFSETS, pitches, errors, walk, jump, known >= 0)

    def _steps(self, spread: float) -> Float:
        """Compute the probabilities of the tuning's steps, (note - 1, tuning, tuning)."""
        n = len(TUNINGS)
        steps = (TUNINGS[1] - TUNINGS[0]) * np.arange(1 - n, n)
        rows = np.arange(n)[:, None] - np.arange(n) + n - 1  # of each pair of tunings: they depend on the step alone
        walk = _normalized(np.exp(-0.5 * (steps / (spread * self.walk[:, None])) ** 2)[:, rows])
        jump = (np.exp(-0.5 * (steps / self.model.jump_size) ** 2) * (np.abs(steps) <= MAX_JUMP))[rows]
        share = spread**2 * self.jump[:, None, None]  # who is exact also jumps seldom
        walk *= 1 - share
        walk += share * _normalized(jump)
        return walk

    def run(self, tonics: NDArray[np.int64], habits: Sequence[Sequence[float]]) -> tuple[Float, Float]:
        """Run the forward-backward algorithm over some keys: tonic, plus 12 in minor; all habits together.

        Returns
        -------
        posterior : ndarray, shape (habit, note, key, candidate)
        log_evidence : ndarray, shape (habit,)
        """
        mode, tonic = tonics[:, None] // 12, tonics[:, None] % 12
        degrees = (self.keys[:, None] - tonic) % 12  # (note, key, candidate)
        steps = np.clip(self.keys[1:, None, :] - self.keys[:-1, :, None], -MAX_INTERVAL, MAX_INTERVAL)
        columns = steps[:, None] + MAX_INTERVAL
        melody = np.exp(self.model.melody * self.model.log_intervals)
        moves = melody[mode[..., None], degrees[:-1, :, :, None], columns]  # (note - 1, key, from, to)
        moves[self.known[1:] | self.known[:-1]] = 1.0  # a user's choice says nothing about the other notes
        is_third = degrees == np.array([THIRDS[name] for name in MODES])[mode]
        start = np.exp(self.model.melody * self.model.log_degrees[mode, degrees[0]])[..., None] * np.exp(
            -0.5 * (TUNINGS / self.model.start) ** 2
        )
        emission = self._emissions(is_third, habits)
        of_spread = {spread: self._steps(spread) for spread, *_ in habits}
        walks = np.stack([of_spread[spread] for spread, *_ in habits], axis=1)  # (note - 1, habit, tuning, tuning)
        forward = [start * emission[0]]
        log_evidence = np.zeros(len(habits))
        for note in range(len(self.pitches)):
            if note:
                arriving = _walked(self._modulated(forward[-1]), walks[note - 1])
                arriving = np.matmul(moves[note - 1].transpose(0, 2, 1), arriving)
                arriving *= emission[note]
                forward.append(arriving)
            total = forward[-1].sum(axis=(1, 2, 3))
            log_evidence += np.log(total)
            forward[-1] /= total[:, None, None, None]
        posterior = np.empty((len(habits), *degrees.shape))
        backward = np.ones(forward[0].shape)
        for note in range(len(self.pitches) - 1, -1, -1):
            joint = (forward[note] * backward).sum(axis=3)
            posterior[:, note] = joint / joint.sum(axis=(1, 2), keepdims=True)
            if note:
                backward = np.matmul(moves[note - 1], emission[note] * backward)
                backward = self._modulated(_walked(backward, walks[note - 1].transpose(0, 2, 1)))
                backward /= backward.max(axis=(1, 2, 3), keepdims=True)
        return posterior, log_evidence

    def _modulated(self, state: Float) -> Float:
        """Let the key change in a state (habit, key, candidate, tuning)."""
        share = self.model.modulation
        changed = (1 - share) * state
        changed += share / state.shape[1] * state.sum(axis=1, keepdims=True)
        return np.asarray(changed)

    def _emissions(self, is_third: NDArray[np.bool_], habits: Sequence[Sequence[float]]) -> Float:
        """Compute the densities of the sung pitches (note, habit, key, candidate, tuning)."""
        found = np.empty((len(is_third), len(habits), *is_third.shape[1:], len(TUNINGS)))
        for number, (spread, third, shrink, _) in enumerate(habits):
            expected = np.asarray(third * is_third if third else np.zeros((1, 1, 1)), dtype=np.float64)
            found[:, number] = self._emission(self._unshrunk(shrink), expected, spread)
        return found

    def _emission(self, pitches: Float, expected: Float, factor: float) -> Float:
        """Compute the density of the sung pitches (note, key, candidate, tuning), given ``expected`` errors."""
        model, spread = self.model, factor * self.errors[:, None, None, None]
        distance = (pitches[:, None] - self.keys)[:, None, :, None] - TUNINGS - expected[..., None]
        usual = np.exp(-0.5 * (distance / spread) ** 2) / spread
        wide = factor * model.outlier_error
        outlier = np.exp(-0.5 * (distance / wide) ** 2) / wide
        density = (1 - model.outliers) * usual + model.outliers * outlier
        density[self.known] = (OFFSETS == 0)[:, None]
        return np.asarray(density)

    def _unshrunk(self, share: float) -> Float:
        """Undo leaps that are too small by a share: the error of each remains in part in the next notes."""
        if not share:
            return self.pitches
        error, corrected = 0.0, self.pitches.copy()
        for note, interval in enumerate(np.diff(self.pitches), start=1):
            error = LEAP_MEMORY * error - (share / (1 - share) * interval if abs(interval) > LEAP else 0.0)
            corrected[note] -= error
        return corrected


def _walked(state: Float, walk: Float) -> Float:
    """Let the tuning of a state (habit, key, candidate, tuning) take a step, (habit, from, to)."""
    return np.asarray((state.reshape(len(state), -1, len(TUNINGS)) @ walk).reshape(state.shape))


def _normalized(table: Float) -> Float:
    """Make the rows (the last axis) sum to 1."""
    return np.asarray(table / table.sum(axis=-1, keepdims=True))
