"""Decoder settings fitted to a trained transcriber, on validation recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.evaluation.note_matching import match_notes
from hf_model.notes.note import Note
from hf_model.transcriber.decoding import DecoderConfig

FITTED = {
    "offset_weight": (0.1, 3.0),
    "voicing_weight": (0.0, 1.5),
    "pitch_weight": (0.0, 1.5),
    "missed_onset_weight": (0.0, 3.0),
    "note_cost": (-4.0, 6.0),
}
"""Settings that are fitted, and the range of each: beside ``onset_weight``, since only their proportions matter."""

GENERATION, BEST = 24, 6
"""Settings drawn around one centre, and how many of them the next centre is the mean of."""

NARROWEST = 0.02
"""Share of a setting's range that draws always spread over."""

Decode = Callable[[DecoderConfig], Sequence[Note]]
"""One recording's posteriors, waiting for decoder settings."""


def fit_decoder(
    recordings: Sequence[tuple[Decode, Sequence[Note]]], start: DecoderConfig, rounds: int = 60, seed: int = 0
) -> tuple[DecoderConfig, dict[str, float]]:
    """Search decoder settings by their note scores.

    Settings are drawn around a centre, a generation at a time, and the centre moves to the mean of the best of them
    (the cross-entropy method). What suits these recordings by chance cancels out in a mean; the best draw keeps it.

    Parameters
    ----------
    recordings : sequence of (decode, reference)
        Validation recordings, at least one, never a test set. Each counts alike, however many notes it has.
    start : DecoderConfig
        The first centre.
    rounds : int
        Settings tried.

    Returns
    -------
    fitted : DecoderConfig
        The last centre, or ``start`` if that is no worse.
    figures : dict
        COn, COnP and COnPOff that these settings reach, the mean over the recordings.
    """
    rng = np.random.default_rng(seed)
    low, high = (np.array(side) for side in zip(*FITTED.values(), strict=True))

    def settings(values: NDArray[np.float64]) -> DecoderConfig:
        changes: dict[str, Any] = dict(zip(FITTED, values.tolist(), strict=True))
        return replace(start, **changes)

    def measure(config: DecoderConfig) -> dict[str, float]:
        scores = [match_notes(reference, decode(config)).f_measures() for decode, reference in recordings]
        return {name: fmean(one[name] for one in scores) for name in scores[0]}

    def worth(figures: dict[str, float]) -> float:
        return figures["conpoff"] + 0.3 * figures["conp"] + 0.3 * figures["con"]

    centre, spread = np.array([getattr(start, name) for name in FITTED]), (high - low) / 4
    for first in range(0, rounds, GENERATION):
        drawn = centre + spread * rng.normal(size=(min(GENERATION, rounds - first), len(centre)))
        drawn = np.clip(drawn, low, high)
        ranks = np.argsort([-worth(measure(settings(values))) for values in drawn], kind="stable")
        best = drawn[ranks[:BEST]]
        centre, spread = best.mean(axis=0), np.maximum(best.std(axis=0), NARROWEST * (high - low))
    fitted, first_figures = settings(centre), measure(start)
    figures = measure(fitted)
    return (fitted, figures) if worth(figures) > worth(first_figures) else (start, first_figures)
