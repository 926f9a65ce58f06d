"""Fit the rhythms and weights of :mod:`hf_model.music.meter` to tunes whose metre is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hf_model.corpora.abc_tunes import Tune
from hf_model.corpora.pop909_excerpts import Excerpt
from hf_model.music.beat_tracking import follow
from hf_model.music.meter import (
    MAX_DISTANCE,
    METERS,
    N_ACCENTS,
    RETURNS,
    Meter,
    Rhythm,
    accents,
    list_readings,
    tempo_features,
)
from hf_model.music.tempo import MAX_TEMPO, MIN_TEMPO, N_PHASES, TEMPO_STEP

Float = NDArray[np.float64]

MAX_ONSETS = 70
"""Onsets of a performance."""

PER_METER = 80
"""Folk tunes of each metre to which the weights are fitted; the others count in the tables."""

DUPLE_BIAS, PLAIN_BIAS, POP_BIAS = 0.5, {"4/4": 0.9}, 0.8
"""Log-odds, set by hand: melodies in two and four are more frequent among songs than among the tunes of the fit; tunes
in quarters and halves are rare there, and so are pop songs."""

TEMPO_PRIOR = {"4": (-0.4, -4.0), "6": (1.8, -5.5)}
"""Log-odds by octaves from the usual tempo, and by their square, set by hand: listeners tap quarters at 70 to 140 a
minute, and dotted quarters at 45 to 90."""

UNITS = {
    "2/4": ("2/4", 4), "4/4": ("4/4", 4), "2/2": ("4/4", 4), "3/4": ("3/4", 4), "3/2": ("3/4", 2), "3/8": ("3/4", 8),
    "6/8": ("6/8", 4), "6/4": ("6/8", 2), "9/8": ("9/8", 4),
}  # fmt: skip
"""By written metre: the metre as a listener would write it, and steps a quarter."""

PLAIN = {
    "4/4": (
        {4: 0.58, 8: 0.15, 2: 0.19, 6: 0.06, 12: 0.04, 16: 0.03},
        (1.0, 0.01, 0.15, 0.01, 0.7, 0.01, 0.2, 0.01, 0.95, 0.01, 0.15, 0.01, 0.7, 0.01, 0.2, 0.01),
    ),
    "3/4": (
        {4: 0.56, 8: 0.18, 2: 0.15, 6: 0.07, 12: 0.06},
        (1.0, 0.01, 0.12, 0.01, 0.7, 0.01, 0.2, 0.01, 0.75, 0.01, 0.2, 0.01),
    ),
    "6/8": (
        {2: 0.25, 4: 0.32, 6: 0.24, 3: 0.03, 1: 0.03, 8: 0.02, 10: 0.03, 12: 0.08},
        (1.0, 0.01, 0.12, 0.06, 0.5, 0.02, 0.95, 0.01, 0.12, 0.06, 0.6, 0.02),
    ),
}
"""Rhythms of plain songs, set by hand: shares of distances, and weights of the places of arrival."""

FAMILIES = {"2/4": "duple", "4/4": "duple", "3/4": "triple", "6/8": "compound", "9/8": "compound"}


@dataclass(frozen=True, eq=False)
class MeterExample:
    """A melody's onsets in steps from a bar line, increasing; its metre; its tempo, if it is known."""

    meter: Meter
    steps: NDArray[np.int64]
    pitches: Float
    bpm: float | None = None


def from_tune(tune: Tune) -> MeterExample | None:
    """Convert the longest strain of a folk tune; None if the metre is another one or the strain is short."""
    strain = tune.longest_strain()
    if strain.meter not in UNITS or len(strain.bars) < 7:
        return None
    name, unit = UNITS[strain.meter]
    steps, first = np.unique(
        np.rint([float(onset * unit) for onset, _, _ in strain.notes]).astype(np.int64), return_index=True
    )
    pitches = np.array([float(strain.notes[index][2]) for index in first])
    return MeterExample(METERS[name], steps, pitches) if len(steps) >= 20 else None


def from_excerpt(excerpt: Excerpt) -> MeterExample:
    """Convert an excerpt of a pop song."""
    beats = np.interp([n.onset for n in excerpt.notes], excerpt.beats, np.arange(len(excerpt.beats)))
    steps, first = np.unique(
        np.rint((beats - np.flatnonzero(excerpt.downbeats)[0]) * 4).astype(np.int64), return_index=True
    )
    pitches = np.array([float(excerpt.notes[index].pitch) for index in first])
    return MeterExample(METERS[excerpt.meter], steps, pitches, 60.0 / float(np.median(np.diff(excerpt.beats))))


def perform(example: MeterExample, rng: np.random.Generator) -> tuple[Float, float]:
    """Play the first onsets at a usual tempo, with errors of 20 ms and a slow drift: seconds, beats per minute."""
    low, high, middle = (45, 125, 62) if example.meter.is_compound else (62, 170, 104)
    bpm = example.bpm or float(np.clip(middle * 2 ** rng.normal(0, 0.33), low, high))
    times = example.steps[:MAX_ONSETS] * 60 / bpm / example.meter.steps_per_beat
    times = times + 0.12 * np.sin(times / 8 + rng.uniform(0, 6))
    times += np.clip(rng.normal(0, 0.02, len(times)), -0.05, 0.05)
    times = np.maximum.accumulate(times + 1e-4 * np.arange(len(times)))
    return np.asarray(times - times[0] + 0.5), bpm


def fit_transitions(meter: Meter, melodies: Sequence[NDArray[np.int64]]) -> Float:
    """Count distances at each place of the bar: log-probabilities (place, distance).

    Each melody counts the same. Rare cells are filled up with the product of the distances and the places of arrival.
    """
    n = meter.n_places
    counts = np.zeros((n, MAX_DISTANCE + 1))
    for steps in melodies:
        np.add.at(counts, (steps[:-1] % n, np.clip(np.diff(steps), 1, MAX_DISTANCE)), 40.0 / len(steps))
    distances = counts.sum(axis=0) + 0.5
    distances[0] = 0.05
    arrival = (np.arange(n)[:, None] + np.arange(MAX_DISTANCE + 1)) % n
    places = np.bincount(arrival.ravel(), counts.ravel(), n) + 1
    expected = distances / distances.sum() * (places / places.sum())[arrival]
    counts += 240 / n * expected / expected.sum(axis=1, keepdims=True)
    return np.asarray(np.log(counts / counts.sum(axis=1, keepdims=True)))


def fit_melody(meter: Meter, melodies: Sequence[MeterExample]) -> tuple[Float, Float, Float]:
    """Count accents, first and last notes at each place of the bar: log-odds (place, accent), (place,), (place,)."""
    n = meter.n_places
    counts, first, last = np.zeros((n, N_ACCENTS)), np.full(n, 2.0), np.full(n, 2.0)
    for one in melodies:
        durations = np.diff(one.steps, append=one.steps[-1] + 4).astype(np.float64)
        np.add.at(counts, (one.steps % n, accents(one.pitches, durations)), 40.0 / len(one.steps))
        first[one.steps[0] % n] += 1
        last[one.steps[-1] % n] += 1
    share = counts.sum(axis=0) + 1
    share /= share.sum()
    counts += 60 * share
    odds = np.log(counts / counts.sum(axis=1, keepdims=True) / share)
    return odds, np.log(first / first.mean()), np.log(last / last.mean())


def plain_transitions(meter: Meter) -> Float:
    """Give the log-probabilities (place, distance) of ``PLAIN``."""
    shares, weights = PLAIN[meter.name]
    distances = np.full(MAX_DISTANCE + 1, 0.002)
    for distance, share in shares.items():
        distances[distance] = share
    arrival = (np.arange(meter.n_places)[:, None] + np.arange(MAX_DISTANCE + 1)) % meter.n_places
    table = distances * np.array(weights)[arrival]
    return np.asarray(np.log(table / table.sum(axis=1, keepdims=True)))


def fit_meter_model(
    folk: Sequence[MeterExample], pop: Sequence[MeterExample], seed: int = 5
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit rhythms to one half of the melodies and weights to the other.

    Returns
    -------
    meter, tempo : dict
        ``weights/music/meter.json`` and ``weights/music/tempo.json``.
    """
    rng = np.random.default_rng(seed)
    of_meter = {meter: [one for one in folk[::2] if one.meter is meter] for meter in METERS.values()}
    melody = {meter: fit_melody(meter, own) for meter, own in of_meter.items()}
    rhythms = [
        Rhythm(meter, fit_transitions(meter, [one.steps for one in own]), *melody[meter])
        for meter, own in of_meter.items()
    ]
    in_four = [one for one in pop[::2] if one.meter.name == "4/4"]
    rhythms.append(
        Rhythm(
            METERS["4/4"],
            fit_transitions(METERS["4/4"], [one.steps for one in in_four]),
            *fit_melody(METERS["4/4"], in_four),
        )
    )
    rhythms += [Rhythm(METERS[name], plain_transitions(METERS[name]), *melody[METERS[name]]) for name in PLAIN]
    chosen = [one for one in pop[1::2] if one.meter.name == "4/4"][: 2 * PER_METER]
    for meter in METERS.values():
        own = [one for one in folk[1::2] if one.meter is meter]
        chosen += [own[k] for k in rng.permutation(len(own))[:PER_METER]]
    weights = fit_weights([_features(one, rhythms, rng) for one in chosen], len(rhythms))
    k = len(RETURNS)
    by_hand = [DUPLE_BIAS * (FAMILIES[rhythm.meter.name] == "duple") for rhythm in rhythms]
    by_hand[len(METERS)] += POP_BIAS
    for number, name in enumerate(PLAIN, start=len(rhythms) - len(PLAIN)):
        by_hand[number] += PLAIN_BIAS.get(name, 0.0)
    table = {
        "rhythm": weights[0],
        "fit": weights[1],
        "returns": weights[2 : 2 + k],
        "melody": weights[2 + k : 5 + 2 * k],
        "rhythms": [
            {
                "meter": rhythm.meter.name,
                "bias": round(bias + extra, 3),
                "log_transitions": np.round(rhythm.log_transitions, 2).tolist(),
                "log_accents": np.round(rhythm.log_accents, 2).tolist(),
                "log_first": np.round(rhythm.log_first, 2).tolist(),
                "log_last": np.round(rhythm.log_last, 2).tolist(),
            }
            for rhythm, bias, extra in zip(rhythms, weights[9 + 2 * k :], by_hand, strict=True)
        ],
    }
    return table, {"prior": TEMPO_PRIOR}


def _features(
    example: MeterExample, rhythms: Sequence[Rhythm], rng: np.random.Generator
) -> tuple[Float, NDArray[np.bool_]]:
    """List the features of the readings of a performance (reading, feature), and which of them are right."""
    onsets, bpm = perform(example, rng)
    shortest, longest = 60.0 / (MAX_TEMPO * 4), 60.0 / (MIN_TEMPO * 4)
    periods = shortest * np.exp(np.arange(0.0, np.log(longest / shortest), TEMPO_STEP))
    durations = np.diff(onsets, append=onsets[-1] + 0.5)
    table = list_readings(
        follow(onsets, periods, N_PHASES), N_PHASES, rhythms, example.pitches[: len(onsets)], durations
    )
    meters = [rhythm.meter for rhythm in rhythms]
    parts = np.array([meter.steps_per_beat for meter in meters])[table.rhythms]
    lengths = np.minimum([meter.n_places for meter in meters], example.meter.n_places)[table.rhythms]
    is_family = np.array([FAMILIES[meter.name] == FAMILIES[example.meter.name] for meter in meters])[table.rhythms]
    is_bar = (table.places - example.steps[0]) % lengths == 0
    is_right = is_family & is_bar & (np.abs(table.bpm / bpm - 1) < 0.045)
    tempo = [np.where(parts == steps, tempo_features(table.bpm, steps), 0.0) for steps in (4, 6)]
    one_hot = np.eye(len(rhythms))[table.rhythms]
    return np.concatenate([table.features, *(part.T for part in tempo), one_hot], axis=1), is_right


def fit_weights(examples: Sequence[tuple[Float, NDArray[np.bool_]]], n_rhythms: int) -> list[float]:
    """Maximise the probability of the right readings: weights of the features, rounded."""
    usable = [(features, right) for features, right in examples if right.any()]

    def loss(weights: Float) -> tuple[float, Float]:
        value, slope = 0.0, np.zeros(len(weights))
        for features, right in usable:
            scores = features @ weights
            share = np.exp(scores - np.logaddexp.reduce(scores))
            mass = max(float(share[right].sum()), 1e-12)
            value -= np.log(mass)
            slope += (share - np.where(right, share, 0.0) / mass) @ features
        ridge = 0.02 * (weights - start)
        return (value + 0.5 * float(ridge @ (weights - start))) / len(usable), (slope + ridge) / len(usable)

    returns = [0.1] * len(RETURNS)
    start = np.array([0.3, 0.5, *returns, 0.3, 0.5, 0.0, *returns, 0.0, -2.0, 0.0, -2.0, *[0.0] * n_rhythms])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    return [round(float(weight), 3) for weight in found]
