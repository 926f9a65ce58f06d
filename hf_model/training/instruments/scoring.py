"""Scores of the network that tells instruments apart, and the scale of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hf_model.instruments.classes import CLASSES, INSTRUMENTS
from hf_model.instruments.identifier import InstrumentIdentifier
from hf_model.instruments.spectrogram import log_scaled
from hf_model.training.classification_scores import calibration_error, macro_f1
from hf_model.training.instruments.clips import InstrumentClip

BATCH = 32

MAX_CONFUSIONS = 12


class Scores(NamedTuple):
    """Results on clips of one instrument each: shares of 1, and the most frequent confusions with their number."""

    accuracy: float
    macro_f1: float
    calibration_error: float
    confusions: list[tuple[str, str, int]]


def score_clips(
    identifier: InstrumentIdentifier, clips: Sequence[InstrumentClip], slope: float = 1.0, shift: float = 0.0
) -> Scores:
    """Compare the most probable instrument of each clip with its own; clips of several instruments are left out.

    ``slope`` and ``shift`` of all logits are those of :func:`calibrate`, if the identifier does not have them yet.
    """
    single = [clip for clip in clips if len(clip.names & set(INSTRUMENTS)) == 1]
    chances = 1.0 / (1.0 + np.exp(-(slope * clip_logits(identifier, single) + shift)))
    columns = [CLASSES.index(name) for name in INSTRUMENTS]
    wanted = np.array([next(i for i, name in enumerate(INSTRUMENTS) if name in clip.names) for clip in single])
    chosen = chances[:, columns].argmax(axis=1)
    error = calibration_error(chances[:, columns].max(axis=1), chosen == wanted)
    pairs = [(INSTRUMENTS[a], INSTRUMENTS[b]) for a, b in zip(wanted, chosen, strict=True) if a != b]
    counted = sorted(((*pair, pairs.count(pair)) for pair in set(pairs)), key=lambda item: (-item[2], item))
    return Scores(float(np.mean(chosen == wanted)), macro_f1(wanted, chosen), error, counted[:MAX_CONFUSIONS])


def calibrate(identifier: InstrumentIdentifier, clips: Sequence[InstrumentClip]) -> tuple[float, float]:
    """Fit slope and shift of all logits: mixtures, which the network is trained on, are less clear than these clips."""
    logits = clip_logits(identifier, clips)
    targets = np.array([[name in clip.names for name in CLASSES] for clip in clips], dtype=np.float64)

    def loss(weights: NDArray[np.float64]) -> float:
        scaled = weights[0] * logits + weights[1]
        return float(np.mean(np.logaddexp(0.0, scaled) - targets * scaled))

    slope, shift = minimize(loss, [1.0, 0.0]).x
    return round(float(slope), 3), round(float(shift), 3)


def clip_logits(identifier: InstrumentIdentifier, clips: Sequence[InstrumentClip]) -> NDArray[np.float64]:
    """Compute the logits (clip, class) of clips of equal length."""
    parts = [clips[start : start + BATCH] for start in range(0, len(clips), BATCH)]
    return np.concatenate([identifier.logits(log_scaled(np.stack([clip.power for clip in part]))) for part in parts])
