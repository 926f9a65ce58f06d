"""Decoder settings fitted to a trained transcriber, on validation recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hf_model.decoding import DecoderConfig
from hf_model.note_matching import add_matches, match_notes
from hf_model.notes import Note

FITTED = {
    "onset_weight": (0.2, 3.0),
    "offset_weight": (0.1, 3.0),
    "voicing_weight": (0.05, 3.0),
    "pitch_weight": (0.05, 3.0),
    "missed_onset_weight": (0.0, 3.0),
    "note_cost": (-4.0, 6.0),
}
"""Settings that are fitted, and the range of each."""

Decode = Callable[[DecoderConfig], Sequence[Note]]
"""One recording's posteriors, waiting for decoder settings."""


def fit_decoder(
    recordings: Sequence[tuple[Decode, Sequence[Note]]], start: DecoderConfig, rounds: int = 60, seed: int = 0
) -> tuple[DecoderConfig, dict[str, float]]:
    """Search decoder settings by their note scores.

    A random walk that keeps what is better: each round changes one or two settings, by steps that shrink.

    Parameters
    ----------
    recordings : sequence of (decode, reference)
        Validation recordings, never a test set.
    start : DecoderConfig
        Where the search begins.
    rounds : int
        Settings tried.

    Returns
    -------
    best : DecoderConfig
    figures : dict
        COn, COnP and COnPOff that the best settings reach on these recordings.
    """
    rng = np.random.default_rng(seed)

    def measure(config: DecoderConfig) -> dict[str, float]:
        return add_matches([match_notes(reference, decode(config)) for decode, reference in recordings]).f_measures()

    def worth(figures: dict[str, float]) -> float:
        return figures["conpoff"] + 0.3 * figures["conp"] + 0.3 * figures["con"]

    best, figures = start, measure(start)
    for turn in range(rounds):
        size = 0.4 * (1 - turn / rounds) + 0.05
        names = rng.choice(list(FITTED), size=rng.integers(1, 3), replace=False)
        changes: dict[str, Any] = {}
        for name in names:
            low, high = FITTED[name]
            changes[str(name)] = float(np.clip(getattr(best, name) + size * rng.normal() * (high - low) / 2, low, high))
        tried = replace(best, **changes)
        found = measure(tried)
        if worth(found) > worth(figures):
            best, figures = tried, found
    return best, figures
