"""The part ``folk`` of ``music``: metre, tempo and bar lines of folk tunes on which nothing was fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora.abc_tunes import Tune, read_collection
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.note import Note
from hf_model.training.meter_fitting import FAMILIES, MAX_ONSETS, UNITS

COLLECTIONS = ("essen", "ryan")
MEASURED = (*range(40), *range(100, 500))
DEVELOPMENT = (*range(40, 100), *range(500, 840))
"""Places of a family's shuffled tunes that are measured, and that constants and confidences were chosen on."""

BAR_ERROR, BARS = 0.12, 7
"""Seconds within which an estimated bar line is right; of so many bars, most must be."""

SINGERS = {"duple": (62, 170, 104), "triple": (62, 170, 104), "compound": (45, 125, 62)}
"""Slowest, fastest and usual beats per minute."""

Performance = tuple[list[Note], float, NDArray[np.float64]]
"""Notes, beats per minute, and bar lines in seconds."""


def measure() -> None:
    """Print shares by collection and family: the metre's family, the tempo, the bar line given both."""
    print(
        "\ncollection, family: tunes; family right, tempo right, bar line right with tempo and metre given; confidences"
    )
    for name in COLLECTIONS:
        chosen = choose_tunes(name)
        for family in SINGERS:
            rows = [_score(tune, family, number) for tune, own, number in chosen if own == family]
            if rows:
                print(f"{name}, {family}: {len(rows)}; {np.mean(rows, axis=0).round(3).tolist()}")


def choose_tunes(name: str, places: Sequence[int] = MEASURED) -> list[tuple[Tune, str, int]]:
    """Choose the strains at these places of each family of a collection: tune, family, number."""
    tunes = [tune.longest_strain() for tune in read_collection(name)]
    usable = [tune for tune in tunes if tune.meter in UNITS and len(tune.bars) >= 7 and len(tune.notes) >= 20]
    chosen = []
    for family in SINGERS:
        own = [tune for tune in usable if FAMILIES[UNITS[tune.meter][0]] == family]
        numbers = np.random.default_rng(7).permutation(len(own))
        chosen += [(own[numbers[place]], family, int(numbers[place])) for place in places if place < len(own)]
    return chosen


def _score(tune: Tune, family: str, seed: int) -> list[float]:
    notes, bpm, bars = perform(tune, family, np.random.default_rng([7, seed]))
    found = estimate_tempo(notes)
    told = estimate_tempo(notes, bpm=bpm, meter=UNITS[tune.meter][0])
    return [
        float(FAMILIES[found.meter_name] == family),
        float(abs(found.bpm / bpm - 1) < 0.04),
        float(_has_bars(told, bars)),
        found.meter_confidence,
        found.confidence,
    ]


def perform(tune: Tune, family: str, rng: np.random.Generator) -> Performance:
    """Sing a tune with errors of 20 ms, early offsets and a slow drift of the tempo."""
    low, high, middle = SINGERS[family]
    bpm = float(np.clip(middle * 2 ** rng.normal(0, 0.33), low, high))
    steps_per_quarter = UNITS[tune.meter][1]
    quarter = 60 / bpm * steps_per_quarter / (6 if family == "compound" else 4)
    phase = rng.uniform(0, 6)

    def clock(quarters: list[float]) -> NDArray[np.float64]:
        times = np.array(quarters) * quarter
        return np.asarray(times + 0.12 * np.sin(times / 8 + phase))

    written = tune.notes[:MAX_ONSETS]
    onsets = clock([float(onset) for onset, _, _ in written])
    onsets += np.clip(rng.normal(0, 0.02, len(onsets)), -0.05, 0.05)
    onsets = np.maximum.accumulate(onsets + 1e-4 * np.arange(len(onsets)))
    ends = clock([float(onset + length) for onset, length, _ in written]) - rng.uniform(0, 0.08, len(onsets))
    start = 0.5 - onsets[0]
    rows = zip(onsets + start, np.maximum(ends, onsets + 0.03) + start, written, strict=True)
    notes = [Note(float(onset), float(end), float(key)) for onset, end, (_, _, key) in rows]
    bars = clock([float(bar) for bar in tune.bars]) + start
    return notes, bpm, bars[bars >= notes[0].onset - 0.1]


def _has_bars(tempo: Tempo, bars: NDArray[np.float64]) -> bool:
    """Whether the first bar lines are found."""
    first = tempo.downbeat % tempo.beats_per_bar
    found = np.array(tempo.beats)[first :: tempo.beats_per_bar]
    return bool(np.mean(np.abs(found[:, None] - bars[:BARS]).min(axis=0) < BAR_ERROR) > 0.7)
