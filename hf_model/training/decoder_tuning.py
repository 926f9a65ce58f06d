"""Decoder settings fitted to a trained transcriber, on validation recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.evaluation.note_matching import match_notes, match_pairs
from hf_model.notes.note import Note
from hf_model.transcriber.confidence import ConfidenceFeatures, fit_weights
from hf_model.transcriber.decoding import DecoderConfig, Evidence

RANGES = {
    "offset_weight": (0.1, 3.0),
    "voicing_weight": (0.0, 1.5),
    "pitch_weight": (0.0, 1.5),
    "missed_onset_weight": (0.0, 3.0),
    "note_cost": (-4.0, 6.0),
}
"""The fitted settings and their ranges; ``onset_weight`` is fixed, since only the proportions of weights matter."""

POPULATION, N_ELITE = 24, 6
"""Settings drawn per generation, and the number of best ones whose mean is the next centre."""

MIN_SPREAD = 0.02
"""Least standard deviation of the draws, as a share of a setting's range."""

Decode = Callable[[DecoderConfig], Sequence[Note]]
"""Decodes one recording's posteriors with given settings."""


def fit_decoder(
    recordings: Sequence[tuple[Decode, Sequence[Note]]], start: DecoderConfig, rounds: int = 60, seed: int = 0
) -> tuple[DecoderConfig, dict[str, float]]:
    """Search decoder settings by their note scores, with the cross-entropy method.

    Settings are drawn around a centre, a generation at a time, and the centre moves to the mean of the best ones. The
    mean overfits these recordings less than the single best draw.

    Parameters
    ----------
    recordings : sequence of (decode, reference)
        Validation recordings, at least one, never a test set. All count equally, whatever their number of notes.
    start : DecoderConfig
        The first centre.
    rounds : int
        Number of settings drawn.

    Returns
    -------
    fitted : DecoderConfig
        The last centre, or ``start`` if that is no worse.
    figures : dict
        COn, COnP and COnPOff of these settings, the mean over the recordings.
    """
    rng = np.random.default_rng(seed)
    low, high = (np.array(side) for side in zip(*RANGES.values(), strict=True))

    def settings(values: NDArray[np.float64]) -> DecoderConfig:
        changes: dict[str, Any] = dict(zip(RANGES, values.tolist(), strict=True))
        return replace(start, **changes)

    def measure(config: DecoderConfig) -> dict[str, float]:
        scores = [match_notes(reference, decode(config)).f_measures() for decode, reference in recordings]
        return {name: fmean(one[name] for one in scores) for name in scores[0]}

    def objective(figures: dict[str, float]) -> float:
        return figures["conpoff"] + 0.3 * figures["conp"] + 0.3 * figures["con"]

    centre, spread = np.array([getattr(start, name) for name in RANGES]), (high - low) / 4
    for first in range(0, rounds, POPULATION):
        drawn = centre + spread * rng.normal(size=(min(POPULATION, rounds - first), len(centre)))
        drawn = np.clip(drawn, low, high)
        ranks = np.argsort([-objective(measure(settings(values))) for values in drawn], kind="stable")
        best = drawn[ranks[:N_ELITE]]
        centre, spread = best.mean(axis=0), np.maximum(best.std(axis=0), MIN_SPREAD * (high - low))
    fitted, first_figures = settings(centre), measure(start)
    figures = measure(fitted)
    return (fitted, figures) if objective(figures) > objective(first_figures) else (start, first_figures)


def fit_confidence(recordings: Sequence[tuple[Evidence, Sequence[Note]]], decoder: DecoderConfig) -> DecoderConfig:
    """Fit the confidence of notes to recordings that the network was not trained on.

    Parameters
    ----------
    recordings : sequence of (evidence, reference)
    decoder : DecoderConfig
        Its other settings stay; without any decoded note, all of them.
    """
    features, correct = list[ConfidenceFeatures](), list[bool]()
    for evidence, reference in recordings:
        found = evidence.decode_with_features(decoder)
        right = {index for _, index in match_pairs(reference, [note for note, _ in found], "conp")}
        features += [measured for _, measured in found]
        correct += [index in right for index in range(len(found))]
    return replace(decoder, confidence=fit_weights(features, correct)) if features else decoder
