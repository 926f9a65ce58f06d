"""Fit the rhythms and weights of :mod:`hf_model.music.meter` to tunes whose metre is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
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
from hf_model.music.tempo import MAX_TEMPO, MIN_ONSETS, MIN_TEMPO, N_PHASES, TEMPO_STEP

Float = NDArray[np.float64]

MAX_ONSETS = 70
"""Onsets of a performance."""

PER_METER = 80
"""Folk tunes of each metre to which the weights are fitted; the others count in the tables."""

RHYTHM_FACTOR, SLOWER_POP = 2.5, -3.0
"""Factor of the rhythms' fitted weight, and log-odds of pop songs by octaves of the tempo: the best decisions, chosen
on other tunes and on pop songs that were sung and transcribed. In the likelihood a few odd tunes count for much."""

TEMPO_PRIOR = {4: (-0.4, -4.0), 6: (1.8, -5.5)}
"""Of folk tunes: log-odds by octaves from the usual tempo, and by their square, by steps per beat; set by hand, since
nothing says how fast these tunes are sung: listeners tap quarters at 70 to 140 a minute, and dotted quarters at 45 to
90. The prior of pop songs is fitted to their tempi."""

UNITS = {
    "2/4": ("2/4", 4), "4/4": ("4/4", 4), "2/2": ("4/4", 4), "3/4": ("3/4", 4), "3/2": ("3/4", 2), "3/8": ("3/4", 8),
    "6/8": ("6/8", 4), "6/4": ("6/8", 2), "9/8": ("9/8", 4),
}  # fmt: skip
"""By written metre: the metre as a listener would write it, and steps a quarter."""

OMITTED = {
    4: (0.05, 0.9, 0.65, 0.9),
    6: (0.05, 0.95, 0.8, 0.9, 0.4, 0.95),
}
"""By steps per beat: how often :func:`simplified` omits a note at each step of the beat, set by hand."""

PLAIN = ("4/4", "3/4", "6/8")
"""Metres of the rhythms of simplified tunes."""

POP_STYLES, STYLE_PASSES, STYLE_RHYTHM = 4, 10, 0.3
"""Rhythms of pop songs, passes of their division, and the weight of rhythms against tempi in it."""

OFF_TABLE = 0.03
"""Share of the distances that follow no table: what is rare among the tunes of the fit may be common elsewhere."""

TEMPO_ERROR = 0.065
"""Octaves of e by which a right reading's first tempo may differ: grids adapt."""

KEPT, ROUNDS = 700, 3
"""Readings of a performance, the best by the weights of each round, to which the weights are fitted."""

FAMILIES = {"2/4": "duple", "4/4": "duple", "3/4": "triple", "6/8": "compound", "9/8": "compound", "12/8": "compound"}


START = (0.1, 0.25, 0.2, 0.2, 0.2, 0.2, 1.0, 0.4, 0.0, 0.5, 0.7)
"""First weights of the features, towards which the fitted ones are drawn."""


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
    """Play the first onsets at a usual tempo, with errors of 20 ms (pop 30) and a slow drift: seconds, tempo."""
    low, high, middle = (45, 125, 62) if example.meter.is_compound else (62, 170, 104)
    error = 0.03 if example.bpm else 0.02
    bpm = example.bpm or float(np.clip(middle * 2 ** rng.normal(0, 0.33), low, high))
    times = example.steps[:MAX_ONSETS] * 60 / bpm / example.meter.steps_per_beat
    times = times + 0.12 * np.sin(times / 8 + rng.uniform(0, 6))
    times += np.clip(rng.normal(0, error, len(times)), -2.5 * error, 2.5 * error)
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
    shares = (1 - OFF_TABLE) * counts / counts.sum(axis=1, keepdims=True)
    return np.asarray(np.log(shares + OFF_TABLE * distances / distances.sum()))


def simplified(example: MeterExample, rng: np.random.Generator) -> MeterExample:
    """Omit ornaments and passing notes, as songs for everybody have fewer of them than dance tunes."""
    chance = np.array(OMITTED[example.meter.steps_per_beat])[example.steps % example.meter.steps_per_beat]
    kept = rng.random(len(chance)) > chance * (example.steps % example.meter.n_places != 0)
    kept[[0, -1]] = True
    return replace(example, steps=example.steps[kept], pitches=example.pitches[kept])


def split_styles(meter: Meter, melodies: Sequence[MeterExample], n_styles: int) -> list[list[MeterExample]]:
    """Divide melodies of known tempi into styles: each goes, again and again, to that which explains it best."""
    tempi = np.array([one.bpm for one in melodies], dtype=np.float64)
    notes_a_step = [len(one.steps) / (one.steps[-1] - one.steps[0]) for one in melodies]
    cells = [
        one.steps[:-1] % meter.n_places * (MAX_DISTANCE + 1) + np.minimum(np.diff(one.steps), MAX_DISTANCE)
        for one in melodies
    ]
    style = np.argsort(np.argsort(notes_a_step)) * n_styles // len(melodies)
    for _ in range(STYLE_PASSES):
        scores = []
        for k in range(n_styles):
            table = fit_transitions(meter, [one.steps for one, own in zip(melodies, style, strict=True) if own == k])
            linear, square = fit_tempo(tempi[style == k].tolist())
            prior = np.array([linear, square]) @ tempo_features(tempi, meter.steps_per_beat)
            constant = linear**2 / (4 * square) + 0.5 * math.log(-square)
            scores.append(STYLE_RHYTHM * np.array([table.ravel()[cell].sum() for cell in cells]) + prior + constant)
        style = np.argmax(scores, axis=0)
    return [[one for one, own in zip(melodies, style, strict=True) if own == k] for k in range(n_styles)]


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


def fit_meter_model(folk: Sequence[MeterExample], pop: Sequence[MeterExample], seed: int = 5) -> dict[str, Any]:
    """Fit rhythms to one half of the melodies and weights to the other: ``weights/music/meter.json``."""
    rng = np.random.default_rng(seed)
    rhythms = fit_rhythms(folk[::2], pop[::2], rng)
    examples = choose_examples(folk[1::2], pop[1::2], rng)
    n_pop = sum(one.bpm is not None for one in examples)
    # Both kinds of music count the same.
    weights = [(len(examples) - n_pop) / max(n_pop, 1) if one.bpm else 1.0 for one in examples]
    pairs = zip(track(examples, "fitting"), weights, strict=True)
    features = [list_features(one, rhythms, rng, weight) for one, weight in pairs]
    return as_table(rhythms, fit_weights(features, len(rhythms)))


def fit_rhythms(folk: Sequence[MeterExample], pop: Sequence[MeterExample], rng: np.random.Generator) -> list[Rhythm]:
    """Count the rhythms of folk tunes in every metre, of plain ones, and of pop songs in styles of their own."""
    groups = [(meter, [one for one in folk if one.meter is meter]) for meter in METERS.values()]
    groups = [(meter, own) for meter, own in groups if own]
    groups += [(METERS[name], [simplified(one, rng) for one in dict(groups)[METERS[name]]]) for name in PLAIN]
    in_four = [one for one in pop if one.meter is METERS["4/4"]]
    styles = split_styles(METERS["4/4"], in_four, POP_STYLES)
    return [
        Rhythm(
            meter,
            fit_transitions(meter, [one.steps for one in own]),
            *fit_melody(meter, own),
            tempo=fit_tempo([one.bpm for one in own if one.bpm])
            if own in styles
            else TEMPO_PRIOR[meter.steps_per_beat],
        )
        for meter, own in [*groups, *((METERS["4/4"], style) for style in styles)]
    ]


def fit_tempo(bpm: Sequence[float]) -> tuple[float, float]:
    """Fit a normal distribution of the octaves from the usual tempo: weights of :func:`tempo_features`."""
    octaves, squares = tempo_features(np.array(bpm), 4)
    middle, width = octaves.mean(), squares.mean() - octaves.mean() ** 2 + 0.15**2
    return float(middle / width), float(-0.5 / width)


def choose_examples(
    folk: Sequence[MeterExample], pop: Sequence[MeterExample], rng: np.random.Generator
) -> list[MeterExample]:
    """Choose the same number of tunes of every metre, every second one simplified, and of pop songs."""
    chosen = [one for one in pop if one.meter is METERS["4/4"]][: 2 * PER_METER]
    for meter in METERS.values():
        own = [one for one in folk if one.meter is meter]
        taken = [own[k] for k in rng.permutation(len(own))[:PER_METER]]
        chosen += [simplified(one, rng) if k % 2 else one for k, one in enumerate(taken)]
    return [one for one in chosen if len(one.steps) >= MIN_ONSETS]


def slower(rhythm: Rhythm) -> float:
    """Give the log-odds by octaves that are added to the tempi of a style of pop songs."""
    return 0.0 if rhythm.tempo in TEMPO_PRIOR.values() else SLOWER_POP


def as_table(rhythms: Sequence[Rhythm], weights: Sequence[float]) -> dict[str, Any]:
    """Write rhythms and weights as ``weights/music/meter.json``."""
    k = 2 + len(RETURNS)
    n = len(weights) - len(rhythms)
    return {
        "rhythm": round(RHYTHM_FACTOR * weights[0], 3),
        "fit": weights[1],
        "returns": weights[2:k],
        "melody": weights[k:n],
        "rhythms": [
            {
                "meter": rhythm.meter.name,
                "bias": bias,
                "tempo": np.round([rhythm.tempo[0] + slower(rhythm), rhythm.tempo[1]], 2).tolist(),
                "log_transitions": np.round(rhythm.log_transitions, 2).tolist(),
                "log_accents": np.round(rhythm.log_accents, 2).tolist(),
                "log_first": np.round(rhythm.log_first, 2).tolist(),
                "log_last": np.round(rhythm.log_last, 2).tolist(),
            }
            for rhythm, bias in zip(rhythms, weights[n:], strict=True)
        ],
    }


@dataclass(frozen=True, eq=False)
class Features:
    """Features of the readings of a performance (reading, feature), what else is known, and which are right."""

    features: Float
    known: Float
    right: NDArray[np.bool_]
    weight: float = 1.0


def list_features(
    example: MeterExample, rhythms: Sequence[Rhythm], rng: np.random.Generator, weight: float = 1.0
) -> Features:
    """List the features of the readings of a performance; each style's prior of the tempo is known."""
    onsets, bpm = perform(example, rng)
    shortest, longest = 60.0 / (MAX_TEMPO * 4), 60.0 / (MIN_TEMPO * 4)
    periods = shortest * np.exp(np.arange(0.0, np.log(longest / shortest), TEMPO_STEP))
    durations = np.diff(onsets, append=onsets[-1] + 0.5)
    grids = follow(onsets, periods, N_PHASES)
    table = list_readings(grids, N_PHASES, rhythms, example.pitches[: len(onsets)], durations)
    meters = [rhythm.meter for rhythm in rhythms]
    lengths = np.minimum([meter.n_places for meter in meters], example.meter.n_places)[table.rhythms]
    is_family = np.array([FAMILIES[meter.name] == FAMILIES[example.meter.name] for meter in meters])[table.rhythms]
    is_bar = (table.places - example.steps[0]) % lengths == 0
    is_right = is_family & is_bar & (np.abs(np.log(table.bpm / bpm)) < TEMPO_ERROR)
    known = np.zeros(len(table.bpm))
    for number, rhythm in enumerate(rhythms):
        rows = table.rhythms == number
        known[rows] = np.array(rhythm.tempo) @ tempo_features(table.bpm[rows], rhythm.meter.steps_per_beat)
    one_hot = np.eye(len(rhythms), dtype=np.float32)[table.rhythms]
    features = np.concatenate([table.features.astype(np.float32), one_hot], axis=1)
    return Features(features, known, is_right, weight)


def fit_weights(examples: Sequence[Features], n_rhythms: int) -> list[float]:
    """Maximise the probability of the right readings: weights of the features, rounded.

    For speed on those readings that are right or, with the weights of one of the rounds before, among the best.
    """
    usable = [one for one in examples if one.right.any()]
    weights = start = np.array([*START, *[0.0] * n_rhythms])
    bounds = [*[(0.0, None)] * len(START), *[(None, None)] * n_rhythms]  # no feature counts against a reading
    rows = [np.flatnonzero(one.right) for one in usable]
    for _ in range(ROUNDS):
        scores = [one.features @ weights + one.known for one in usable]
        rows = [np.union1d(own, np.argsort(-score)[:KEPT]) for own, score in zip(rows, scores, strict=True)]
        parts = [
            Features(one.features[own], one.known[own], one.right[own], one.weight)
            for one, own in zip(usable, rows, strict=True)
        ]
        weights = minimize(_loss, start, (parts, start), "L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": 80}).x
    return [round(float(weight), 3) for weight in weights]


def _loss(weights: Float, examples: Sequence[Features], start: Float) -> tuple[float, Float]:
    """Compute the mean negative log-probability of the right readings, with a ridge, and its slope."""
    value, slope = 0.0, np.zeros(len(weights))
    for one in examples:
        scores = one.features @ weights + one.known
        share = np.exp(scores - np.logaddexp.reduce(scores))
        mass = max(float(share[one.right].sum()), 1e-12)
        value -= one.weight * np.log(mass)
        slope += one.weight * ((share - np.where(one.right, share, 0.0) / mass) @ one.features)
    ridge = 0.02 * (weights - start)
    return (value + 0.5 * float(ridge @ (weights - start))) / len(examples), (slope + ridge) / len(examples)
