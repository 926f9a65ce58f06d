"""Fits of the musical rules' weights to songs: key, corrections of repetitions, chords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hf_model.music.chords import N_CHORDS, N_FEATURES, ChordModel, estimate_chords, features
from hf_model.music.intended_keys import MAX_INTERVAL
from hf_model.music.key import MODES, Key, shares
from hf_model.music.tempo import Tempo
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


@dataclass(frozen=True, eq=False)
class ChordExample:
    """A song in 4/4 relative to its key: pitch classes (beat, 12), chords (beat,) or -1, places in the bar (beat,)."""

    rolls: NDArray[np.float64]
    chords: NDArray[np.int64]
    places: NDArray[np.int64]
    mode: int


def fit_chords(songs: list[ChordExample], sharpness: float, fairness: float) -> ChordModel:
    """Fit regression and transitions, with a given weight of both and of rare chords."""
    emission, transition = np.zeros((2, N_FEATURES, N_CHORDS)), np.zeros((2, N_CHORDS, N_CHORDS))
    change, seen = np.ones(4), np.full(4, 2.0)
    for mode in range(2):
        own = [song for song in songs if song.mode == mode]
        x = np.concatenate([features(song.rolls) for song in own])
        y = np.concatenate([song.chords for song in own])
        x, y = x[y >= 0], y[y >= 0]
        share = np.bincount(y, minlength=N_CHORDS) + 5.0
        emission[mode] = sharpness * _regression(x, y)
        emission[mode, -1] -= fairness * np.log(share / share.sum())
        counts = np.full((N_CHORDS, N_CHORDS), 0.3)
        for song in own:
            known = (song.chords[1:] >= 0) & (song.chords[:-1] >= 0)
            previous, current, place = song.chords[:-1][known], song.chords[1:][known], song.places[1:][known]
            np.add.at(seen, place, 1)
            np.add.at(change, place[previous != current], 1)
            np.add.at(counts, (previous[previous != current], current[previous != current]), 1)
        np.fill_diagonal(counts, 1e-9)
        transition[mode] = np.log(counts / counts.sum(axis=1, keepdims=True))
    return ChordModel(emission, transition, change / seen)


def _regression(x: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fit a multinomial logistic regression: weights (feature, chord)."""
    import torch

    torch.manual_seed(0)
    inputs, targets = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    weights = torch.zeros(N_FEATURES, N_CHORDS, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=80, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(inputs @ weights, targets) + 1e-4 * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return np.asarray(weights.detach().numpy())


def share_of_right_chords(model: ChordModel, songs: list[ChordExample]) -> float:
    """Give the share of beats with the right chord."""
    right = total = 0
    for song in songs:
        notes, tempo = _on_beats(song)
        found = np.full(len(song.chords), -2)
        for chord in estimate_chords(notes, Key(0, MODES[song.mode]), tempo, model):
            found[round(chord.onset) : round(chord.offset)] = 2 * chord.root + chord.is_minor
        known = (song.chords >= 0) & (found >= -1)
        right += int(np.sum((found == song.chords)[known]))
        total += int(known.sum())
    return right / total


def _on_beats(song: ChordExample) -> tuple[list[Note], Tempo]:
    """Give a song as notes of at most one beat, and its beats, a second each."""
    notes = []
    for beat, roll in enumerate(song.rolls):
        now = float(beat)
        for pitch in np.flatnonzero(roll > 0):
            until = min(now + float(roll[pitch]), beat + 1.0)
            if until > now:
                notes.append(Note(now, until, 60.0 + pitch))
            now = until
    downbeat = int(np.argmax(song.places == 0))
    return notes, Tempo(60.0, 1.0, tuple(map(float, range(len(song.rolls) + 1))), downbeat, (4, 4), 1.0)
